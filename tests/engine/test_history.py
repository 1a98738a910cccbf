"""The history: what is noted is found again, by every process of the user and by nobody else."""

import asyncio
import errno
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.events.events import InstantMessage, MessageDelivered, MessageReceived, MessageSent
from sinchphone.engine.history.history import History
from sinchphone.engine.history.past import Past, PastCall, PastMessage, forget, look_back
from sinchphone.errors import ConfigError

CALL = PastCall("c1", True, "bob", "mxp", 100.0, True, 5200, "hung_up", "us")
MESSAGE = InstantMessage(id="m1", sender="alice", recipients=("bob", "carol"), text="hi", headers={"k": "v"}, at=200.0)


class ReadableHistory(History):
    async def entries(self, **choice: Any) -> list[Past]:
        return look_back(self._path, self._account, **choice)


@pytest.fixture
async def history_for(tmp_path: Path) -> Any:
    opened: list[ReadableHistory] = []

    async def make(account: str = "local alice", **options: Any) -> ReadableHistory:
        history = ReadableHistory(tmp_path / "state" / "history.db", account, **options)
        await history.open()
        opened.append(history)
        return history

    yield make
    for history in opened:
        await history.close()


async def test_calls_and_messages_come_back_in_the_order_in_which_they_were(history_for: Any) -> None:
    history = await history_for()
    await history.note_sent("d", MESSAGE, {"t-bob": "bob", "t-carol": "carol"})
    await history.note_call("d", CALL)
    call, message = await history.entries()
    assert call == CALL
    assert isinstance(message, PastMessage)
    assert (message.id, message.outbound, message.recipients, message.text) == ("m1", True, ("bob", "carol"), "hi")
    assert message.delivered == {"bob": None, "carol": None}


async def test_another_run_finds_it_again(history_for: Any) -> None:
    first = await history_for()
    await first.note_call("d", CALL)
    await first.close()
    assert await (await history_for()).entries() == [CALL]


async def test_another_user_doesnt_see_it(history_for: Any) -> None:
    await (await history_for()).note_call("d", CALL)
    assert await (await history_for("local bob")).entries() == []


async def test_only_the_owner_can_read_the_file(history_for: Any, tmp_path: Path) -> None:
    await (await history_for()).note_call("d", CALL)
    for file in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_a_message_is_new_once_on_each_device(history_for: Any) -> None:
    history, other = await history_for(), await history_for()
    assert await history.note_received("d1", MESSAGE)
    assert not await history.note_received("d1", MESSAGE)
    assert not await other.note_received("d1", MESSAGE)
    assert await other.note_received("d2", MESSAGE)
    assert len(await history.entries()) == 1


async def test_a_receipt_is_news_once(history_for: Any) -> None:
    history = await history_for(clock=lambda: 300.0)
    await history.note_sent("d", MESSAGE, {"t-bob": "bob", "t-carol": "carol"})
    assert await history.note_delivered("d", "m1", "t-bob") == "bob"
    assert await history.note_delivered("d", "m1", "t-bob") is None
    assert await history.note_delivered("d", "m1", "t-mallory") is None
    assert await history.note_delivered("d", "unknown", "t-bob") is None
    await history.note_failed("d", "m1", "carol", "full")
    [message] = await history.entries()
    assert message.delivered == {"bob": 300.0, "carol": None}
    assert message.failed == ("carol",)


@pytest.mark.parametrize(
    ("call", "missed"),
    [
        (PastCall("1", False, "bob", "mxp", 1.0, False, None, "canceled", "peer"), True),
        (PastCall("1", False, "bob", "mxp", 1.0, False, None, "no_answer", "time"), True),
        (PastCall("1", False, "bob", "mxp", 1.0, True, 9, "hung_up", "peer"), False),
        (PastCall("1", False, "bob", "mxp", 1.0, False, None, "denied", "us"), False),
        (PastCall("1", False, "bob", "mxp", 1.0, False, None, "busy", "us"), True),
        (PastCall("1", True, "bob", "mxp", 1.0, False, None, "busy", "peer"), False),
        (PastCall("1", False, "bob", "mxp", 1.0, False, None, "other_device_answered", "peer"), False),
        (PastCall("1", True, "bob", "mxp", 1.0, False, None, "no_answer", "time"), False),
    ],
)
def test_a_call_is_missed_where_nobody_took_it(call: PastCall, missed: bool) -> None:
    assert call.is_missed is missed


TAKEN = PastCall("c1", False, "bob", "mxp", 100.1, True, 5200, "hung_up", "us")
RANG = PastCall("c1", False, "bob", "mxp", 100.0, False, 0, "canceled", "them", 487, "taken elsewhere")
DECLINED = PastCall("c1", False, "bob", "mxp", 100.2, False, 0, "denied", "us")


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        ((TAKEN, RANG), replace(TAKEN, at=100.0)),
        ((RANG, TAKEN), replace(TAKEN, at=100.0)),
        ((RANG, replace(TAKEN, at=99.0)), replace(TAKEN, at=99.0)),
        ((replace(RANG, duration_ms=9000), TAKEN), replace(TAKEN, at=100.0, duration_ms=9000)),
        ((DECLINED, RANG), replace(DECLINED, at=100.0)),
        ((RANG, replace(DECLINED, ended_by=None)), replace(DECLINED, at=100.0, ended_by=None)),
        ((RANG, DECLINED), replace(DECLINED, at=100.0)),
        ((replace(RANG, cause="no_answer"), RANG), replace(RANG, cause="no_answer")),
    ],
)
async def test_of_a_call_at_two_devices_the_end_is_told_at_the_one_that_took_or_declined_it(
    history_for: Any, noted: tuple[PastCall, ...], told: PastCall
) -> None:
    history = await history_for()
    for number, call in enumerate(noted):
        await history.note_call(f"d{number}", call)
    assert await history.entries() == [told]


async def test_since_and_limit_choose_the_newest(history_for: Any) -> None:
    history = await history_for()
    for number in range(10):
        await history.note_call("d", PastCall(str(number), True, "bob", "mxp", float(number), True, 1, "hung_up", "us"))
    assert [call.id for call in await history.entries(since=3.0, limit=4)] == ["6", "7", "8", "9"]


async def test_a_history_of_a_newer_sinchphone_is_left_alone(history_for: Any, tmp_path: Path) -> None:
    await (await history_for()).close()
    with sqlite3.connect(tmp_path / "state" / "history.db") as base:
        base.execute("PRAGMA user_version=99")
    with pytest.raises(ConfigError, match="newer"):
        await history_for()


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on files can't be opened to be written, as on a disk that is mounted read-only; also for root, who may do all."""
    opened = os.open

    def begin() -> None:
        def refuse(path: str, flags: int, *rest: Any) -> int:
            if flags & (os.O_RDWR | os.O_WRONLY):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return opened(path, flags, *rest)

        monkeypatch.setattr("sinchphone.database.os.open", refuse)

    return begin


async def test_on_a_read_only_disk_the_history_is_read_and_nothing_is_deleted(
    history_for: Any, tmp_path: Path, read_only: Callable[[], None]
) -> None:
    history = await history_for()
    await history.note_call("d", CALL)
    await history.close()
    path, before = tmp_path / "state" / "history.db", sorted(file.name for file in (tmp_path / "state").iterdir())
    read_only()
    assert look_back(path, "local alice") == [CALL]
    assert sorted(file.name for file in path.parent.iterdir()) == before
    with pytest.raises(ConfigError, match="can't be used: Read-only file system"):
        forget(path, "local alice", [CALL])


async def test_on_a_read_only_disk_what_another_process_writes_still_is_read(history_for: Any, read_only: Callable[[], None]) -> None:
    history = await history_for()
    await history.note_call("d", CALL)  # stands in the log beside the file
    read_only()
    assert await history.entries() == [CALL]


async def test_on_a_read_only_disk_a_history_of_an_older_sinchphone_is_not_misread(
    history_for: Any, tmp_path: Path, read_only: Callable[[], None]
) -> None:
    history, path = await history_for(), tmp_path / "state" / "history.db"
    await history.close()
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA user_version=1")
    read_only()
    with pytest.raises(ConfigError, match="written by an older sinchphone"):
        look_back(path, "local alice")


async def test_a_file_that_is_no_history_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(ConfigError, match=r"history\.db"):
        await History(tmp_path / "history.db", "a").open()


async def test_a_disk_that_refuses_loses_the_note_and_nothing_else(history_for: Any, tmp_path: Path) -> None:
    history = await history_for()
    with sqlite3.connect(tmp_path / "state" / "history.db") as base:
        base.execute("DROP TABLE messages")
    assert await history.note_received("d", MESSAGE)
    await history.note_call("d", CALL)


async def test_many_processes_of_a_user_write_at_the_same_time(history_for: Any) -> None:
    histories = [await history_for() for _ in range(4)]

    async def write(number: int, history: History) -> None:
        for call in range(20):
            await history.note_call(f"d{number}", PastCall(f"{number}-{call}", True, "bob", "mxp", 1.0, True, 1, "hung_up", "us"))

    await asyncio.gather(*(write(number, history) for number, history in enumerate(histories)))
    assert len(await histories[0].entries(limit=1000)) == 80


async def test_a_message_that_comes_again_after_a_restart_is_not_shown_again(
    world: Any, eventually: Callable[..., Any], quiet: Any, history_for: Any
) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", "1", await history_for("bob"))
    await alice.send(["bob"], "hi")
    await eventually(lambda: bool(bob.of(MessageReceived)))
    world.messengers.remove(bob)
    again = world.phone("bob", "1", await history_for("bob"))
    for channel, frame in list(world.published):
        world.deliver(channel, frame)
    await asyncio.sleep(0.2)
    assert again.of(MessageReceived) == []


async def test_a_receipt_that_comes_in_a_later_run_is_told_once(world: Any, eventually: Callable[..., Any], history_for: Any) -> None:
    alice = world.phone("alice", "1", await history_for("alice"))
    sent = await alice.send(["bob"], "hi")
    world.messengers.remove(alice)
    later = world.phone("alice", "1", await history_for("alice"))
    frames = [(channel, frame) for channel, frame in world.published if channel == "t-bob"]
    world.phone("bob")
    for channel, frame in frames:
        world.deliver(channel, frame)
    await eventually(lambda: bool(later.of(MessageDelivered)))
    assert later.events == [MessageDelivered(message_id=sent.id, recipient="bob")]
    assert later.of(MessageSent) == []
