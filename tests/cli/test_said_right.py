"""Small things that a command line says or takes: each was said wrongly once."""

import io
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.calling.phone import tell_message
from sinchphone.cli.endings import Order
from sinchphone.cli.terminal import run as cli_run
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.screen.screen import Screen, lines_of
from sinchphone.cli.terminal.session import Session
from sinchphone.config import load, user_file
from sinchphone.credentials import read_phones, read_secret
from sinchphone.database import connect, hint_of, in_transaction
from sinchphone.engine.events.events import InstantMessage, MessageDelivered, MessageSent
from sinchphone.engine.history.history import History
from sinchphone.errors import AudioFileError, ConfigError
from sinchphone.exchange.directory.credentials import local_credentials
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.media.local_audio.recorder import Recorder
from sinchphone.options import Options, Place
from sinchphone.signaling.dialect import Domain
from sinchphone.signaling.rest import instances
from tests.disk import disk_of

Run = Callable[..., Any]
posix = pytest.mark.skipif(os.name != "posix", reason="file modes and signals are POSIX's")


@pytest.mark.parametrize("given", ["90s", "61", "2m", "0"])
def test_ringing_for_longer_than_anything_rings_is_refused_and_not_shortened(platform: Any, sinchphone: Run, given: str) -> None:
    done = sinchphone("call", "bob", "--ring-timeout", given)
    assert done.code == 2
    assert "at most 60s" in done.err
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(f'ring_timeout = "{given}"')
    with pytest.raises(ConfigError, match="ring_timeout must be"):
        load(environ={})


@pytest.mark.parametrize("given", ["0", "0s", "0ms"])
def test_no_time_at_all_for_a_message_is_refused(platform: Any, sinchphone: Run, given: str) -> None:
    done = sinchphone("send-message", "bob", "tea?", "--timeout", given)
    assert done.code == 2
    assert "more than 0" in done.err
    assert platform.texts == []


class _Closed(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError(9, "Bad file descriptor")


@pytest.mark.parametrize("stream", [None, io.TextIOWrapper(io.BufferedReader(_Closed()))])
def test_a_text_from_a_closed_standard_input_is_a_matter_of_usage(
    platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", stream)
    done = sinchphone("send-message", "bob", "-")
    assert done.code == 2
    assert "bug" not in done.err


@pytest.mark.parametrize("name", ["", ".", "/", "..", "folder/"])
def test_a_recording_without_a_name_is_a_matter_of_usage(name: str) -> None:
    with pytest.raises(AudioFileError):
        Recorder(name, lambda event: None).open()


def test_an_application_key_alone_is_told_what_is_missing_and_how_to_stay_here(sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINCH_APPLICATION_KEY", "11111111-2222-3333-4444-555555555555")
    monkeypatch.setenv("SINCH_USER_ID", "ada")
    done = sinchphone("call", "bob", "--no-audio")
    assert done.code == 14
    assert "SINCH_APPLICATION_SECRET" in done.err
    assert "--profile local" in done.err


def test_an_application_key_and_nothing_else_is_told_what_it_stands_for_too(sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINCH_APPLICATION_KEY", "11111111-2222-3333-4444-555555555555")
    monkeypatch.delenv("SINCH_USER_ID", raising=False)
    done = sinchphone("call", "bob", "--no-audio")
    assert done.code == 14
    assert "no user id" in done.err
    assert "SINCH_APPLICATION_KEY" in done.err
    assert "--profile local" in done.err


def test_config_alone_prints_its_help(sinchphone: Run) -> None:
    done = sinchphone("config")
    assert (done.code, done.err) == (0, "")
    assert "init" in done.out
    assert done.out.count("\n") > 5


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_bytes(b'\xef\xbb\xbfuser = "ada"\n')
    assert load(environ={}).options.user == "ada"
    secret, phones = tmp_path / "secret", tmp_path / "phones"
    secret.write_bytes(b"\xef\xbb\xbfc2VjcmV0\r\n")
    phones.write_bytes(b"\xef\xbb\xbfdesk:secret\r\n")
    for file in (secret, phones):
        file.chmod(0o600)
    found = read_secret(Options(secret_file=secret), {})
    assert found is not None
    assert found.value == "c2VjcmV0"
    assert read_phones(phones) == {"desk": "secret"}


@pytest.mark.parametrize("written", ["::1", "[::1]"])
def test_an_ipv6_address_may_stand_in_brackets(written: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(f'[exchange]\nhost = "{written}"\n[sip]\nhost = "{written}"')
    options = load(environ={}).options
    assert (options.exchange.host, options.sip.host) == ("::1", "::1")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_that_of_the_shell_that_was_named(shell: str) -> None:
    code = "import sys; from sinchphone.cli.command_line import command_line; command_line(sys.argv[1:])"
    command = [sys.executable, "-c", code, "--show-completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    marks = {"bash": "complete -o default", "zsh": "#compdef", "fish": "complete --command"}
    assert [name for name, mark in marks.items() if mark in done.stdout] == [shell]


# The state folder


async def _open(kind: type[History] | type[SqliteStore], path: Path) -> None:
    store = History(path, "ada") if kind is History else SqliteStore(path)
    await store.open()
    await store.close()


@pytest.mark.parametrize("kind", [History, SqliteStore])
async def test_a_damaged_database_is_to_be_moved_away(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(b"this is no database, and was none" * 100)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        await _open(kind, path)
    assert "move it away" in refused.value.hint


def test_a_database_that_is_held_or_may_not_be_written_is_not_to_be_moved_or_deleted(tmp_path: Path) -> None:
    path = tmp_path / "held.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE one (x)")
    holder.execute("BEGIN EXCLUSIVE")
    other = sqlite3.connect(path, timeout=0.01, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError) as held:
        other.execute("INSERT INTO one VALUES (1)")
    holder.execute("ROLLBACK")
    read_only = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as refused:
        read_only.execute("INSERT INTO one VALUES (1)")
    for connection in (holder, other, read_only):
        connection.close()
    for error, word in ((held.value, "another program"), (refused.value, "who owns it"), (PermissionError(13, "no"), "who owns it")):
        assert word in hint_of(error)
        assert "move" not in hint_of(error)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file size limit")
def test_a_database_on_a_full_disk_says_so_and_is_not_to_be_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "small.db"
    base = connect(path, ["CREATE TABLE one (x)"])
    base.execute("PRAGMA journal_mode=DELETE")
    with closing(base), disk_of(path.stat().st_size), pytest.raises(sqlite3.Error) as full:
        in_transaction(base, lambda base: base.execute("INSERT INTO one VALUES (zeroblob(1000000))"))
    assert "rollback" not in str(full.value)
    assert hint_of(full.value) == "check the disk, and the space on it"


def test_what_sqlite_has_taken_back_itself_is_not_taken_back_again(tmp_path: Path) -> None:
    def fail(base: sqlite3.Connection) -> None:
        base.execute("ROLLBACK")  # as it does where the disk is full
        raise sqlite3.OperationalError("database or disk is full")

    base = connect(tmp_path / "small.db", ["CREATE TABLE one (x)"])
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        in_transaction(base, fail)
    base.close()


def test_a_state_folder_without_hard_links_keeps_the_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    made = local_credentials(tmp_path / "state")
    assert local_credentials(tmp_path / "state") == made
    [file] = (tmp_path / "state").iterdir()
    assert os.name != "posix" or stat.S_IMODE(file.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("number", ["ENOTSUP", "ENOSYS", "ENOLCK"])
def test_a_state_folder_without_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    import errno
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(getattr(errno, number), "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    descriptor = instances._lock(tmp_path / "lock")
    assert descriptor is not None
    os.close(descriptor)


@posix
def test_a_recording_is_for_its_owner_as_a_pipe_is(tmp_path: Path) -> None:
    from sinchphone.media.local_audio.files import AudioWriter

    before = os.umask(0o022)
    try:
        AudioWriter(tmp_path / "r.wav", ".wav").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "r.wav").stat().st_mode) == 0o600


def test_with_v_a_call_says_its_id_its_headers_and_its_set_up_time() -> None:
    incoming = lines_of(e.CallIncoming(call_id="c1", peer="bob", domain=Domain.MXP, headers={"x-topic": "tea"}))
    established = lines_of(e.CallEstablished(call_id="c1", setup_ms=450, establishing_ms=450, codec="opus", pair="host"))
    outgoing = lines_of(
        e.CallOutgoing(call_id="c1", peer="bob", domain=Domain.MXP, user_id="ada", environment=Place.LOCAL, hosted_here=True)
    )
    assert [line.text for line in incoming if line.detail] == ["call id c1", "header x-topic: tea"]
    assert [line.text for line in established if line.detail] == ["set up in 0.45 s"]
    assert [line.text for line in outgoing if line.detail] == ["call id c1"]


def _session(out: io.StringIO, err: io.StringIO) -> Session:
    return Session(load(environ={}), Screen(out, err), interactive=True)


def test_delivered_of_an_older_message_is_no_result_of_another_command() -> None:
    out, err = io.StringIO(), io.StringIO()
    session = _session(out, err)
    ours = InstantMessage(id="new", sender="ada", recipients=("bob",), text="tea?")
    tell_message(session, MessageDelivered(message_id="old", recipient="carol"), aside=True)
    tell_message(session, MessageSent(message=ours), aside=True)
    tell_message(session, MessageDelivered(message_id="new", recipient="bob"), aside=True)
    assert out.getvalue() == "delivered to bob\n"
    assert "delivered to carol" in err.getvalue()


def test_a_second_ctrl_c_says_where_the_unfinished_recording_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    session = _session(out, err)
    part = tmp_path / f".r[1].wav.{os.getpid()}-1f.part"
    part.touch()
    session.tell(e.RecordStartedTold(call_id="c1", path=str(tmp_path / "done.wav")))
    session.tell(e.RecordFinishedTold(call_id="c1", path=str(tmp_path / "done.wav"), duration_s=1.0))
    session.tell(e.RecordStartedTold(call_id="c1", path=str(tmp_path / "r[1].wav")))
    monkeypatch.setattr(os, "_exit", lambda code: None)
    cli_run._leave_at_once(session)
    assert str(part) in err.getvalue()
    assert "done.wav isn't finished" not in err.getvalue()


def test_a_terminal_that_was_closed_ends_the_command_as_a_signal_does_and_is_no_misuse() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    session = _session(Gone(), io.StringIO())
    session.print("hello")
    assert session.stop.order is Order.TERMINATE
