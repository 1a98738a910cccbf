"""Real sound, without a sound card: the fixture ``lab`` is a sound server whose loudspeaker and microphone are null sinks."""

import json
import subprocess
import sys
from typing import Any

import pytest

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share

PATIENCE_SECONDS = 30.0
HEARD_SECONDS = 1.0

# A leg that says 1000 Hz, at a audio with the machine's devices, until the microphone has heard 440 Hz for a second.
PROGRAM = """
import asyncio, json, sys, time
import numpy as np
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.local_audio.local_audio import LocalAudio
from sinchphone.media.sound import SoundOptions
from sinchphone.media.thread import MediaThread

class Leg:
    def __init__(self):
        self.tone, self.sent = Sine(1000), []
    def send(self, frame):
        self.sent.append(frame)
    def pull(self, samples):
        return self.tone.pull(samples)

async def main(options):
    leg, seconds = Leg(), 0.0
    async with MediaThread() as media:
        audio = LocalAudio(options, media)
        await audio.open()
        await audio.connect(leg)
        limit = time.monotonic() + 25
        while seconds < 1.0 and time.monotonic() < limit:
            await asyncio.sleep(0.1)
            heard = sum(share(np.concatenate(leg.sent[at : at + 5]), 440) > 0.95 for at in range(0, len(leg.sent) - 4, 5))
            seconds = heard * 0.1
        levels = audio.levels()
        await asyncio.sleep(1.0)
        await audio.close()
    warnings = [str(event) async for event in audio.events()]
    print(json.dumps({"heard_s": seconds, "near_dbfs": levels.near_dbfs, "far_dbfs": levels.far_dbfs, "warnings": warnings}))

asyncio.run(main(SoundOptions(**json.loads(sys.argv[1]), echo_cancel="off")))  # tones are no voices
"""

LIST = """
import json
from sinchphone.media.local_audio.devices.sound_cards import list_devices
print(json.dumps([(device.name, device.inputs > 0, device.outputs > 0) for device in list_devices()]))
"""


def loudest_second(sound: Samples) -> Samples:
    starts = range(0, max(1, len(sound) - RATE), RATE // 10)
    return max((sound[start : start + RATE] for start in starts), key=lambda second: share(second, 1000))


@pytest.mark.parametrize("options", [{}, {"input": "lab_mouth", "output": "lab_ear"}], ids=["default devices", "named devices"])
def test_local_audio_plays_to_the_loudspeaker_and_hears_the_microphone(lab: Any, options: dict[str, str]) -> None:
    with lab.ear() as ear, lab.mouth(440):
        done = lab.run(PROGRAM, json.dumps(options))
    result = json.loads(done.stdout)
    assert result["heard_s"] >= HEARD_SECONDS
    assert result["near_dbfs"] == pytest.approx(-20, abs=1)
    assert result["far_dbfs"] == pytest.approx(-20, abs=1)
    assert result["warnings"] == []
    played = loudest_second(ear())
    assert share(played, 1000) > 0.95
    assert dbfs(played) == pytest.approx(-20, abs=1)


def test_devices_are_found_by_name_and_listing_writes_nothing_on_the_terminal(lab: Any) -> None:
    done = lab.run(LIST)
    assert done.stderr == ""
    found = {name: (inputs, outputs) for name, inputs, outputs in json.loads(done.stdout)}
    assert "lab_ear" in found
    assert found["default"] == (True, True)


def test_a_sound_server_that_ends_is_one_warning_and_the_call_goes_on(lab: Any) -> None:
    told = "print('open', flush=True); await asyncio.to_thread(sys.stdin.readline)"
    program = PROGRAM.replace("limit = time.monotonic() + 25", f"limit = time.monotonic() + 3; {told}")
    command = [sys.executable, "-c", program, "{}"]
    with subprocess.Popen(
        command, env=lab.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as audio:
        assert audio.stdout is not None
        assert audio.stdout.readline() == "open\n"
        subprocess.run(["pactl", "exit"], env=lab.environment, check=True)
        out, err = audio.communicate("\n", timeout=PATIENCE_SECONDS)
    result = json.loads(out)
    assert audio.returncode == 0
    assert len(result["warnings"]) == 1
    assert "the sound device stopped" in result["warnings"][0]
    assert "Traceback" not in err  # what PortAudio's own thread writes there can't be stopped from here
