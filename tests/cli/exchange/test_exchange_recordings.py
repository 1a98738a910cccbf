"""``exchange recordings``: what backends had recorded, listed and deleted from a shell."""

import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from sinchphone.exchange.recordings.recordings import Recordings


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SINCHPHONE_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(f'user = "bob"\nstate_dir = "{tmp_path}/state"\n[exchange]\nport = 0\n')


def recorded(folder: Path, *calls: str, **limits: Any) -> Recordings:
    """So many recordings of 1000 bytes, a minute apart."""
    now = [1_800_000_000.0]
    kept = Recordings(folder, now=lambda: now[0], **limits)
    for call in calls:
        path = kept.new("acme", call, "mp3")
        path.write_bytes(b"x" * 1000)
        os.utime(path, (now[0], now[0]))
        now[0] += 60
    return kept


def test_recordings_are_listed_and_deleted(sinchphone: Any, tmp_path: Path) -> None:
    kept = recorded(tmp_path / "state", "one", "two", "three")
    listed = [one["name"] for one in sinchphone("exchange", "recordings", "--json").events[:-1]]
    assert [name.rpartition("_")[2] for name in listed] == ["three.mp3", "two.mp3", "one.mp3"]
    assert sinchphone("exchange", "recordings", "--remove", listed[0]).code == 0
    assert len(kept.listed()) == 2
    assert sinchphone("exchange", "recordings", "--remove", listed[0]).code == 7
    assert sinchphone("exchange", "recordings", "--clear", "--remove", listed[1]).code == 2
    assert sinchphone("exchange", "recordings", "--clear").code == 0
    assert (kept.listed(), sinchphone("exchange", "recordings").out) == ([], "")


@pytest.mark.parametrize(("name", "code"), [("../state/local-application.json", 7), ("/etc/passwd", 7), ("x.mp3", 7), ("", 2)])
def test_attack_nothing_else_is_deleted(sinchphone: Any, tmp_path: Path, name: str, code: int) -> None:
    kept = recorded(tmp_path / "state", "one")
    assert sinchphone("exchange", "recordings", "--remove", name).code == code
    assert len(kept.listed()) == 1


@pytest.mark.parametrize(("limits", "left"), [({"count": 3}, "dc"), ({"total_bytes": 2500}, "dc"), ({"age_s": 100.0}, "d"), ({}, "dcba")])
def test_the_oldest_give_way_to_a_new_one(tmp_path: Path, limits: dict[str, Any], left: str) -> None:
    kept = recorded(tmp_path, "a", "b", "c", "d", **limits)
    kept.new("acme", "e", "mp3")
    assert "".join(file.name.rpartition("_")[2].removesuffix(".mp3") for file in kept.listed()) == left


def test_an_application_has_its_own_and_names_are_of_letters(tmp_path: Path) -> None:
    kept = Recordings(tmp_path)
    path = kept.new("acme", "../../etc/passwd", "mp3")
    path.write_bytes(b"x")
    assert path.parent == tmp_path / "recordings" and "/" not in path.name and ".." not in path.name
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert kept.find("acme", path.name) == path
    assert kept.find("acm", path.name) is None and kept.listed("other") == []


def test_two_of_one_call_in_a_second_have_names_of_their_own(tmp_path: Path) -> None:
    at = time.time()
    kept = Recordings(tmp_path, now=lambda: at)
    first = kept.new("acme", "call", "wav")
    first.write_bytes(b"x")
    assert kept.new("acme", "call", "wav") != first


def test_without_a_state_folder_they_last_as_long_as_the_exchange() -> None:
    kept = Recordings(None)
    path = kept.new("acme", "call", "wav")
    path.write_bytes(b"x")
    assert len(kept.listed()) == 1
    kept.close()
    kept.close()
    assert not path.exists() and kept.listed() == []
