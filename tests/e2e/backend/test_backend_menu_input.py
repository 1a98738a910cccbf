"""What a backend is told of menus on real calls: keys that are no option, keys in the sound, sound that fails."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame
from sinchphone.errors import MediaError
from sinchphone.gateway.bridging.local_ends import local_end
from sinchphone.gateway.options import BackendOptions
from sinchphone.gateway.sip import calls as sip
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.media.webrtc import formats
from sinchphone.protocol.call.states import State
from sinchphone.protocol.sdp.jsep import Description
from tests.e2e.backend.backend_lab import Backend, action, hears

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)  # ITU-T Q.23
PRESSED = np.arange(round(0.12 * RATE)) / RATE


class Keys:
    """A party that presses keys in the sound, where it's told to, and hears nothing."""

    def __init__(self) -> None:
        self._frames: Iterator[Frame] = iter(())

    def press(self, digits: str) -> None:
        pause = np.zeros(round(0.12 * RATE))
        sound = np.concatenate([part for digit in digits for part in (key(digit), pause)])
        count = len(sound) // FRAME_SAMPLES
        self._frames = iter(sound[: count * FRAME_SAMPLES].astype(np.int16).reshape(count, FRAME_SAMPLES))

    def tick(self, far: Frame) -> Frame:
        return next(self._frames, np.zeros(FRAME_SAMPLES, np.int16))


def key(digit: str) -> Any:
    row, column = divmod("123456789*0#".index(digit), 3)
    return 6000 * (np.sin(2 * np.pi * ROWS[row] * PRESSED) + np.sin(2 * np.pi * COLUMNS[column] * PRESSED))


def without_events(sdp: str) -> str:
    """A description of somebody who knows no telephone-events (RFC 4733)."""
    lines = sdp.splitlines()
    numbers = [line.split(":")[1].split()[0] for line in lines if "telephone-event" in line]
    kept = [line for line in lines if not any(line.startswith((f"a=rtpmap:{one} ", f"a=fmtp:{one} ")) for one in numbers)]
    return "\r\n".join(drop(line, numbers) if line.startswith("m=") else line for line in kept) + "\r\n"


def drop(line: str, numbers: list[str]) -> str:
    return " ".join(word for word in line.split() if word not in numbers)


def menu(backend: Backend, folder: Path, **members: Any) -> dict[str, Any]:
    return {"id": "main", "mainPrompt": backend.tone(folder, 500.0, 8.0), **members}


async def test_keys_that_are_no_option_are_told_as_invalid_input_after_the_repeats(
    town: Any, steps: Any, backend: Backend, tmp_path: Path
) -> None:
    one = {"options": [{"dtmf": "1", "action": "return(yes)"}], "repeats": 1, "repeatPrompt": backend.tone(tmp_path, 700.0, 8.0)}
    backend.answers |= {"ice": action("runMenu", {"name": "answer"}, menus=[menu(backend, tmp_path, **one)]), "pie": action("hangup")}
    alice = await town.phone("alice")
    ear, sound = town.ear()
    call = await alice.call_user("x", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await hears(ear, 500.0)
    await call.dtmf("9")
    await hears(ear, 700.0)
    with suppress(MediaError):  # the call may be over before it is
        await call.dtmf("8")
    told = (await backend.heard("pie"))["menuResult"]
    assert told == {"menuId": "main", "type": "invalidinput", "value": "8", "inputMethod": "dtmf"}
    await steps.end_of(call)


async def test_sound_that_fails_in_a_menu_is_told_as_an_error(
    town: Any, steps: Any, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_end, "CONNECT_SECONDS", 0.001)  # no path is found so soon
    backend.answers["ice"] = action("runMenu", menus=[menu(backend, tmp_path)])
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("x"))
    assert details.failure is not None
    assert (await backend.heard("pie"))["menuResult"] == {"menuId": "main", "type": "error", "value": ""}
    assert (await backend.heard("dice"))["reason"] == "GENERALERROR"
    assert [event["event"] for event in backend.events] == ["ice", "pie", "dice"]


async def test_a_user_without_telephone_events_presses_keys_in_the_sound(
    town: Any, steps: Any, backend: Backend, tmp_path: Path, media: MediaThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_EVENT", re.compile("(nothing)(/1)?"))
    backend.answers |= {"ice": action("runMenu", {"name": "answer"}, menus=[menu(backend, tmp_path, maxDigits=3)]), "pie": action("hangup")}
    alice, keys = await town.phone("alice"), Keys()
    call = await alice.call_user("x", sound=Ticker(keys, media))
    await steps.reach(call, State.ESTABLISHED)
    keys.press("4*7")
    told = (await backend.heard("pie"))["menuResult"]
    assert told == {"menuId": "main", "type": "sequence", "value": "4*7", "inputMethod": "dtmf"}
    await steps.end_of(call)


async def test_a_phone_without_telephone_events_presses_keys_in_the_sound(
    sip_exchange: Any, backend: Backend, tmp_path: Path, media: MediaThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.answers |= {"ice": action("runMenu", {"name": "answer"}, menus=[menu(backend, tmp_path, maxDigits=3)]), "pie": action("hangup")}
    town = await sip_exchange("desk", backend=BackendOptions(backend.url))
    desk, keys = await town.lines.sip_phone(), Keys()
    invite = desk.agent.invite
    monkeypatch.setattr(desk.agent, "invite", lambda *given, offer, **more: invite(*given, offer=without_events(offer), **more))
    call = await desk.dial(f"sip:menu@{town.at}", "sip:desk@127.0.0.1", "desk")
    assert "telephone-event" not in (await call.until(sip.SipAnswered)).sdp
    sound = Ticker(keys, media)
    await sound.connect(call.port.leg)
    keys.press("258")
    await call.over()
    assert backend.events[1]["menuResult"] == {"menuId": "main", "type": "sequence", "value": "258", "inputMethod": "dtmf"}
    await sound.close()


def test_a_description_is_left_without_events() -> None:
    sdp = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
    assert Description("offer", without_events(sdp)).sdp == "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
