"""Keys in a call: volume, recording, statistics, and a help that names what works now and nothing else."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.calling import outgoing as call_command
from sinchphone.cli.terminal.output.events.events import Stats
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.screen.statistics_panel import Panel, panel_lines, sparkline
from sinchphone.cli.terminal.screen.status_line import Status
from sinchphone.cli.terminal.session import Session
from sinchphone.media.sound import LOUDEST_DB, QUIETEST_DB, Volume
from sinchphone.protocol.call.states import Cause, State
from tests.cli.calling.fake_keys import FakeKeys
from tests.waiting import until

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_command, "Keys", FakeKeys)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    noted: list[str] = []
    monkeypatch.setattr(Session, "note", lambda self, text: noted.append(text))
    return noted


def press(*keys: str) -> None:
    for key in keys:
        FakeKeys.typed.put_nowait(key)


def with_devices(call: Any) -> None:
    """Give the fake call's sound devices whose volume is noted."""
    call.sound.volume, call.sound.is_heard = Volume(), True

    async def next_device() -> bool:
        return False

    async def set_devices(**chosen: Any) -> None:
        """Any will do."""

    def turn(*, loudspeaker_db: float = 0.0, microphone_db: float = 0.0) -> Volume:
        call.sound.volume = call.sound.volume.turned(loudspeaker_db, microphone_db)
        return call.sound.volume  # type: ignore[no-any-return]

    call.sound.next_device, call.sound.set_devices, call.sound.turn = next_device, set_devices, turn


def test_volume_and_microphone_are_turned_step_by_step_and_said(platform: Any, sinchphone: Run, notes: list[str]) -> None:
    async def script(call: Any) -> None:
        with_devices(call)
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        press("+", "+", "-", "<")
        await until(lambda: "microphone -3 dB" in notes)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    sinchphone("call-user", "bob")
    assert [note for note in notes if "dB" in note] == ["volume +3 dB", "volume +6 dB", "volume +3 dB", "microphone -3 dB"]


def test_volume_ends_somewhere() -> None:
    loudest, quietest = Volume(), Volume()
    for _ in range(100):
        loudest, quietest = loudest.turned(3, 3), quietest.turned(-3, -3)
    assert loudest == Volume(LOUDEST_DB, LOUDEST_DB)
    assert quietest == Volume(QUIETEST_DB, QUIETEST_DB)


def test_help_names_what_works_now(platform: Any, sinchphone: Run, notes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Screen, "is_live", True)

    async def script(call: Any) -> None:
        await asyncio.sleep(0.05)
        press("?")
        await until(lambda: "q hang up   m mute   ? help" in notes)
        with_devices(call)
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        press("m", "h", "s", "?")
        await until(lambda: any("h resume" in note for note in notes))
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    sinchphone("call-user", "bob")
    said = "   ".join(notes[-4:])
    for words in ("m unmute", "h resume", "s no statistics", "+ - volume", "d next sound device", "0-9 * # dial", "q hang up"):
        assert words in said
    assert "x decline" not in said
    assert all(len(note) <= 79 for note in notes)


@pytest.mark.parametrize("no_audio", [False, True])
def test_a_call_without_devices_is_told_so_and_offers_no_volume(platform: Any, sinchphone: Run, notes: list[str], no_audio: bool) -> None:
    async def script(call: Any) -> None:
        if no_audio:
            with_devices(call)
            call.sound.is_heard = False
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        press("?", "+")
        await until(lambda: "there is no sound device" in notes)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    sinchphone("call-user", "bob")
    assert not any("volume" in note for note in notes)


def test_a_key_records_to_a_file_of_the_peer_and_the_time_and_ends_it(
    platform: Any, sinchphone: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded: list[str] = []

    async def script(call: Any) -> None:
        async def record(path: str) -> None:
            recorded.append(path)

        async def stop_recording() -> None:
            recorded.append("stopped")

        call.record, call.stop_recording = record, stop_recording
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        press("r", "r")
        await until(lambda: len(recorded) == 2)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    sinchphone("call-user", "../b ob")
    name, stopped = recorded
    assert stopped == "stopped"
    assert name.endswith(".wav")
    assert "/" not in name
    assert not name.startswith(".")
    assert "b_ob-" in name


STATS = Stats(
    call_id="1",
    codec="opus",
    packets_sent=50,
    packets_received=50,
    packets_lost=0,
    bytes_sent=1,
    bytes_received=1,
    concealed_ms=0.0,
    jitter_ms=3.2,
    delay_ms=61.0,
    round_trip_ms=24.4,
    sent_kbps=32.1,
    received_kbps=31.8,
    received_loss_percent=0.0,
    sent_loss_percent=0.4,
    mos=4.3,
    mean_mos=4.2,
)


def test_the_panel_has_codec_path_rates_losses_delays_and_a_line_of_scores() -> None:
    lines = panel_lines(Panel(STATS, "relay", (1.0, 2.5, None, 4.4)))
    text = "\n".join(lines)
    for words in (
        "opus",
        "relayed (TURN)",
        "32.1 kbit/s",
        "31.8 kbit/s",
        "0.4 % sent",
        "jitter 3 ms",
        "delay 61 ms",
        "round trip 24 ms",
        "MOS 4.3",
    ):
        assert words in text
    assert lines[-1].endswith("▁▄ █")
    assert all(len(line) <= 79 for line in panel_lines(Panel(STATS, "srflx", (4.4,) * 60)))
    assert panel_lines(Panel(None, None)) == ["statistics: none yet"]
    for columns in (19, 29, 39):
        narrow = panel_lines(Panel(STATS, "srflx", (4.4,) * 60), columns)
        assert max(map(len, narrow)) <= columns
        assert (
            " ".join(narrow).split() == " ".join([*lines[:-1], narrow[-1]]).replace("relayed (TURN)", "direct, through NAT (srflx)").split()
        )
    assert sparkline((1.0, 4.5), ascii_only=True).isascii()


def test_without_a_status_line_keys_are_told_once_and_statistics_when_asked_for(platform: Any, sinchphone: Run, notes: list[str]) -> None:
    async def script(call: Any) -> None:
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await until(lambda: "q hang up   m mute   ? help" in notes)
        press("s", "s")
        await until(lambda: notes.count("statistics: none yet") == 2)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    sinchphone("call-user", "bob")
    assert notes.count("q hang up   m mute   ? help") == 1


def test_the_panel_is_drawn_while_it_is_asked_for(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Status] = []
    monkeypatch.setattr(Screen, "is_live", True)
    monkeypatch.setattr(Session, "draw", lambda self, status: shown.append(status))

    async def script(call: Any) -> None:
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        press("s")
        await until(lambda: shown[-1].panel is not None)
        press("s")
        await until(lambda: shown[-1].panel is None)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    sinchphone("call-user", "bob")
