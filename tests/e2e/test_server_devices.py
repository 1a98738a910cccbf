"""The devices of a real sound server: listed by their own names, opened as chosen, its default followed in mid-call."""

import json
import subprocess
import sys
import time
from typing import Any

from sinchphone.audio.frame import RATE
from sinchphone.audio.tones.goertzel import share

LIST = """
import json
from sinchphone.media.local_audio.devices.sound_cards import list_devices
print(json.dumps([[one.name, one.node, one.host, one.inputs > 0, one.worn] for one in list_devices() if one.node]))
"""
# Plays 1000 Hz to the device that is named, and hears another, until a line comes.
PLAY = """
import json, sys, time
import numpy as np
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.local_audio.devices.sound_cards import Direction, Loudspeaker, Microphone, find_device
heard, tone = [], Sine(1000)
speaker = Loudspeaker(find_device(sys.argv[1] or None, Direction.OUTPUT), tone.pull, lambda: None, 0.04)
microphone = Microphone(find_device(sys.argv[2] or None, Direction.INPUT), heard.append, lambda: None, 0.04)
speaker.open(); microphone.open()
print("open", flush=True)
sys.stdin.readline()
limit = time.monotonic() + 15
while len(heard) < 25 and time.monotonic() < limit:
    time.sleep(0.05)
speaker.close(); microphone.close()
sound = np.concatenate(heard[-100:])
tenths = [sound[at : at + 4_800] for at in range(0, max(1, len(sound) - 4_799), 960)]
print(json.dumps({str(hz): max(share(tenth, hz) for tenth in tenths) for hz in (440, 620)}))
"""
PATIENCE_S = 20.0


def name_devices(lab: Any) -> None:
    """Microphones with names of their own, as people's are."""
    for node, master, words in (("usb_mic", "mouth", "USB Headset Mono"), ("desk_mic", "mouth2", "Desk Microphone")):
        lab.control(
            "load-module",
            "module-remap-source",
            f"source_name={node}",
            f"master={master}.monitor",
            f"source_properties=\"device.description='{words}'\"",
        )


def until_heard(recording: Any, hz: float) -> bool:
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        sound = recording()[-RATE // 10 :]
        if len(sound) and share(sound, hz) > 0.9:
            return True
        time.sleep(0.1)
    return False


def test_the_servers_devices_are_listed_and_the_one_that_is_meant_is_opened(any_lab: Any) -> None:
    lab = any_lab
    name_devices(lab)
    found = {node: (name, host, inputs) for name, node, host, inputs, _ in json.loads(lab.run(LIST).stdout)}
    assert {"ear", "ear2", "usb_mic", "desk_mic"} <= found.keys()
    assert found["usb_mic"][0].startswith("USB Headset Mono") and found["usb_mic"][1] in ("PulseAudio", "PipeWire")
    assert found["ear2"][2] is False and "ear2.monitor" not in found
    with lab.ear() as ear, lab.ear("ear2") as second, lab.mouth(440), lab.mouth(620, "mouth2"):
        command = [sys.executable, "-c", PLAY, "ear2", "desk microphone"]
        with subprocess.Popen(command, env=lab.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as playing:
            assert playing.stdout is not None
            assert playing.stdout.readline() == "open\n"
            assert until_heard(second, 1000)
            time.sleep(0.5)
            out, _ = playing.communicate("\n", timeout=PATIENCE_S)
        assert not ear().any()
    shares = json.loads(out)
    assert shares["620"] > 0.9 > shares["440"]


def test_the_systems_default_is_followed_while_sound_flows(any_lab: Any) -> None:
    lab = any_lab
    environment = {name: value for name, value in lab.environment.items() if name not in ("PULSE_SINK", "PULSE_SOURCE")}
    lab.control("set-default-sink", "ear")
    lab.control("set-default-source", "mouth.monitor")
    with lab.ear() as ear, lab.ear("ear2") as second:
        command = [sys.executable, "-c", PLAY, "", ""]
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as playing:
            assert playing.stdout is not None
            assert playing.stdout.readline() == "open\n"
            assert until_heard(ear, 1000)
            lab.control("set-default-sink", "ear2")
            assert until_heard(second, 1000)
            playing.communicate("\n", timeout=PATIENCE_S)


# Hears the system's default, and says of each half a second which tone is in it, until nobody reads any more.
HEAR = """
import json, time
import numpy as np
from sinchphone.audio.tones.goertzel import share
from sinchphone.media.local_audio.devices.sound_cards import Direction, Microphone, find_device
heard = []
microphone = Microphone(find_device(None, Direction.INPUT), heard.append, lambda: None, 0.04)
microphone.open()
while True:
    time.sleep(0.2)
    sound = np.concatenate(heard[-25:]) if len(heard) >= 25 else np.zeros(960)
    print(json.dumps({str(hz): share(sound, hz) for hz in (440, 620)}), flush=True)
"""


def heard_by(hearing: Any, hz: int) -> bool:
    """Whether that tone is what a microphone gives, soon."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        if json.loads(hearing.stdout.readline())[str(hz)] > 0.9:
            return True
    return False


def test_the_systems_default_microphone_is_followed_while_it_is_heard(any_lab: Any) -> None:
    lab = any_lab
    environment = {name: value for name, value in lab.environment.items() if name not in ("PULSE_SINK", "PULSE_SOURCE")}
    lab.control("set-default-source", "mouth.monitor")
    with lab.mouth(440), lab.mouth(620, "mouth2"):
        command = [sys.executable, "-c", HEAR]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as hearing:
            try:
                assert heard_by(hearing, 440)
                lab.control("set-default-source", "mouth2.monitor")
                assert heard_by(hearing, 620)
                lab.control("set-default-source", "mouth.monitor")
                assert heard_by(hearing, 440)
            finally:
                hearing.kill()
