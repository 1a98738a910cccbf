"""What a sound server has, read off what pactl prints, and how its devices are chosen."""

import os
from typing import Any

import pytest

from sinchphone.media.local_audio.devices import sound_cards as devices
from sinchphone.media.local_audio.devices import sound_server
from sinchphone.media.local_audio.devices.sound_cards import Direction, SoundDevice, find_device
from sinchphone.media.local_audio.devices.sound_server import ServerDevice, SoundServer, led_to, read_server
from sinchphone.media.local_audio.voice import make_voice
from sinchphone.media.options import AudioOptions

ABOUT = {"server_name": "PulseAudio (on PipeWire 0.3.65)", "default_sink_name": "speakers", "default_source_name": "mic"}


def sink(name: str, description: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": description or name, "channel_map": "front-left,front-right", "properties": {}, **more}


def port(kind: str) -> dict[str, Any]:
    return {"active_port": "p", "ports": [{"name": "other", "type": "HDMI"}, {"name": "p", "type": kind}]}


@pytest.mark.parametrize(
    ("more", "worn"),
    [
        ({}, None),
        ({"properties": {"device.form_factor": "headset"}}, True),
        ({"properties": {"device.form_factor": "headphone"}}, True),
        ({"properties": {"device.form_factor": "speaker"}}, False),
        ({"properties": {"device.form_factor": "microphone"}}, None),
        (port("Headphones"), True),
        (port("Headset"), True),
        (port("Speaker"), False),
        (port("Unknown"), None),
        ({**port("Headphones"), "properties": {"device.form_factor": "internal"}}, True),
        ({"ports": None, "active_port": None}, None),
    ],
)
def test_headsets_are_told_from_loudspeakers_where_the_server_knows(more: dict[str, Any], worn: bool | None) -> None:
    server = read_server(ABOUT, {"sinks": [sink("speakers", **more)], "sources": []})
    assert server.devices == (ServerDevice("speakers", "speakers", "output", 2, True, worn),)
    assert server.default_is_worn() is worn


def test_monitors_are_no_microphones_unless_one_is_the_default() -> None:
    sources = [
        sink("mic"),
        sink("a.monitor", properties={"device.class": "monitor"}),
        sink("b.monitor", monitor_source="b"),
    ]
    assert [one.node for one in read_server(ABOUT, {"sinks": [], "sources": sources}).devices] == ["mic"]
    about = {**ABOUT, "default_source_name": "a.monitor"}
    assert [one.node for one in read_server(about, {"sinks": [], "sources": sources}).devices] == ["mic", "a.monitor"]


def test_two_of_one_name_are_told_by_their_nodes() -> None:
    sinks = [sink("one", "USB Headset"), sink("two", "USB Headset")]
    found = read_server(ABOUT, {"sinks": sinks, "sources": [sink("mic", "USB Headset")]})
    assert [one.name for one in found.devices] == ["USB Headset [one]", "USB Headset [two]", "USB Headset"]


@pytest.mark.parametrize(
    ("about", "found"), [({}, {}), (ABOUT, {}), (ABOUT, {"sinks": [1], "sources": []}), ([], []), (ABOUT, {"sinks": 4})]
)
def test_an_answer_that_is_none_is_no_server(monkeypatch: pytest.MonkeyPatch, about: Any, found: Any) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(sound_server, "_pactl", {"info": about, "list": found}.get)
    assert sound_server.ask_server() is None


def test_a_stream_is_led_only_while_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SINK", "before")
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    with led_to("there", "output"), led_to("mic", "input"), led_to(None, "output"):
        assert (os.environ["PULSE_SINK"], os.environ["PULSE_SOURCE"]) == ("there", "mic")
    assert (os.environ["PULSE_SINK"], "PULSE_SOURCE" in os.environ) == ("before", False)


CARDS = (
    SoundDevice(0, "HDA Intel: USB Headset (hw:0,0)", "ALSA", 2, 2),
    SoundDevice(1, "pulse", "ALSA", 32, 32),
    SoundDevice(2, "default", "ALSA", 32, 32, True, True),
)
SERVER = SoundServer(
    "PipeWire",
    (
        ServerDevice("alsa.usb", "USB Headset", "output", 2, False, True),
        ServerDevice("alsa.pci", "Built-in Audio", "output", 2, True, False),
        ServerDevice("alsa.usb.in", "USB Headset", "input", 1, True, None),
    ),
)


@pytest.mark.parametrize(
    ("wanted", "way", "index"),
    [
        ("usb headset", Direction.OUTPUT, 3),
        ("headset", Direction.INPUT, 5),
        ("built-in", Direction.OUTPUT, 4),
        ("alsa.pci", Direction.OUTPUT, 4),
        ("Built-in Audio, PipeWire", Direction.OUTPUT, 4),
        ("pulse", Direction.OUTPUT, 1),
        ("hw:0", Direction.OUTPUT, 0),
        (None, Direction.OUTPUT, 2),
        (4, Direction.OUTPUT, 4),
    ],
)
def test_part_of_a_name_means_the_device_of_the_server(
    monkeypatch: pytest.MonkeyPatch, wanted: int | str | None, way: Direction, index: int
) -> None:
    monkeypatch.setattr(devices, "ask_server", lambda: SERVER)
    found = find_device(wanted, way, devices._with_server(CARDS))
    assert found.index == index
    assert found.via == (1 if index > 2 else None)


def test_the_default_device_is_worn_as_the_servers_default_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "ask_server", lambda: SERVER)
    assert [device.worn for device in devices._with_server(CARDS)] == [None, False, False, True, False, None]
    assert devices._with_server(CARDS[:1]) == CARDS[:1]


@pytest.mark.parametrize(
    ("name", "worn", "made"), [("Headset", None, False), ("Headset", False, True), ("Speakers", True, False), ("Speakers", None, True)]
)
def test_what_the_server_knows_counts_more_than_the_name(monkeypatch: pytest.MonkeyPatch, name: str, worn: bool | None, made: bool) -> None:
    assert (make_voice(AudioOptions(), name, worn) is not None) is made
