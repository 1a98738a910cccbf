"""Stored instances: where they are, who can read them, and what happens to broken ones."""

import os
import stat
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from sinchphone.errors import ConfigError
from sinchphone.signaling.dialect import Instance
from sinchphone.signaling.rest.instances import FileInstanceStore, InstanceKey, MemoryInstanceStore, StoredInstance

ALICE = InstanceKey("https://ocra.api.sinch.com", "app", "alice")


def stored(slot: Any, user_id: str = "alice") -> Any:
    return StoredInstance(Instance("i-1", b"secret \x00\xff", user_id, slot.device_id, 1_800_000_000.25), 1_700_000_000.5, "1.0 p2p")


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    return FileInstanceStore(tmp_path / "state") if request.param == "file" else MemoryInstanceStore()


def test_nothing_is_stored_at_first(store: Any) -> None:
    assert store.claim(ALICE).load() is None


def test_an_instance_is_read_as_it_was_stored(store: Any) -> None:
    slot = store.claim(ALICE)
    slot.save(stored(slot))
    assert slot.load() == stored(slot)
    slot.release()
    assert store.claim(ALICE).load() == stored(slot)


def test_an_instance_that_never_expires_is_read_as_it_was_stored(store: Any) -> None:
    slot = store.claim(ALICE)
    endless = replace(stored(slot), instance=replace(stored(slot).instance, expire_at=None))
    slot.save(endless)
    assert slot.load() == endless


def test_a_forgotten_instance_is_gone_and_forgetting_twice_is_harmless(store: Any) -> None:
    slot = store.claim(ALICE)
    slot.save(stored(slot))
    slot.forget()
    slot.forget()
    assert slot.load() is None


@pytest.mark.parametrize("other", [{"user_id": "bob"}, {"application_key": "app2"}, {"platform": "http://127.0.0.1:4600"}])
def test_users_applications_and_platforms_do_not_share_instances(store: Any, other: Any) -> None:
    slot = store.claim(ALICE)
    slot.save(stored(slot))
    assert store.claim(replace(ALICE, **other)).load() is None


def test_the_device_id_stays_the_same(store: Any) -> None:
    first = store.claim(ALICE)
    first.release()
    assert store.claim(ALICE).device_id == first.device_id
    assert store.claim(replace(ALICE, user_id="bob")).device_id == first.device_id


def test_who_comes_while_a_slot_is_taken_is_another_device(store: Any) -> None:
    first, second = store.claim(ALICE), store.claim(ALICE)
    first.save(stored(first))
    assert second.load() is None
    assert second.device_id == f"{first.device_id}-2"
    first.release()
    first.release()
    assert store.claim(ALICE).device_id == first.device_id


def test_another_process_gets_another_slot_until_this_one_ends(tmp_path: Any) -> None:
    slot = FileInstanceStore(tmp_path).claim(ALICE)
    program = (
        "import sys, pathlib; from sinchphone.signaling.rest.instances import *;"
        f"print(FileInstanceStore(pathlib.Path(sys.argv[1])).claim({ALICE!r}).device_id)"
    )

    def other_process() -> Any:
        return subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True).stdout.strip()

    assert other_process() == f"{slot.device_id}-2"
    slot.release()
    assert other_process() == slot.device_id


def files(directory: Any) -> Any:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_attack_nobody_else_can_read_the_files(tmp_path: Any) -> None:
    before = os.umask(0)
    try:
        slot = FileInstanceStore(tmp_path / "a" / "state").claim(ALICE)
        slot.save(stored(slot))
        slot.save(stored(slot))
    finally:
        os.umask(before)
    assert len(files(tmp_path)) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)} == {0o600}
    assert stat.S_IMODE((tmp_path / "a" / "state").stat().st_mode) == 0o700


def test_attack_a_user_id_cannot_leave_the_directory(tmp_path: Any) -> None:
    slot = FileInstanceStore(tmp_path / "state").claim(replace(ALICE, user_id="../../x"))
    slot.save(stored(slot, "../../x"))
    assert {path.parent for path in files(tmp_path)} == {tmp_path / "state"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id":"i-1"}', b"\xff", b'{"id":"i-1","secret":"?","issuedAt":1}', b"[" * 99_999])
def test_a_broken_file_counts_as_none(tmp_path: Any, content: Any) -> None:
    slot = FileInstanceStore(tmp_path).claim(ALICE)
    slot.save(stored(slot))
    path = next(tmp_path.glob("*.json"))
    path.write_bytes(content)
    assert slot.load() is None
    slot.save(stored(slot))
    assert slot.load() == stored(slot)


@pytest.mark.parametrize("content", ["", "a b", "x" * 1000, "\x1b[2J"])
def test_a_broken_device_id_is_made_anew_once(tmp_path: Any, content: Any) -> None:
    (tmp_path / "device-id").write_text(content)
    store = FileInstanceStore(tmp_path)
    first = store.claim(ALICE)
    first.release()
    assert len(first.device_id) == 36
    assert store.claim(ALICE).device_id == first.device_id


def test_a_save_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = FileInstanceStore(tmp_path).claim(ALICE)
    slot.save(stored(slot))
    before = files(tmp_path)

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        slot.save(replace(stored(slot), issued_at=5.0))
    assert slot.load() == stored(slot)
    assert files(tmp_path) == before


def test_a_directory_that_cannot_be_is_a_config_error(tmp_path: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be used"):
        FileInstanceStore(tmp_path / "file" / "state").claim(ALICE)


def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Any) -> None:
    slot = FileInstanceStore(tmp_path).claim(ALICE)
    slot.save(stored(slot))
    path = next(tmp_path.glob("*.json"))
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="can't be used"):
        slot.load()
