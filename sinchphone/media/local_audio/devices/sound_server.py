"""The sinks and sources of a PulseAudio or PipeWire server by their own names, and how a stream of PortAudio's is led to one of them.

::

    pactl --format=json list  ->  ServerDevice("alsa_output.usb-…", "USB Headset", …)
    led_to(node, direction)   ->  libpulse takes the node that PULSE_SINK or PULSE_SOURCE names for the stream that is opened meanwhile

PortAudio (19.7) knows the server only as the ALSA device "pulse". A stream that isn't led anywhere is on the server's default, and the
server moves it when that changes.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias

from sinchphone.quick_dataclass import quick_dataclass

ALSA_NAME: Final = "pulse"  # of the device of libasound2-plugins that leads to the server
_PROBE_SECONDS: Final = 3.0
_VARIABLES: Final = {"input": "PULSE_SOURCE", "output": "PULSE_SINK"}
_CHANNELS: Final = 32
# device.form_factor (PulseAudio's proplist) and types of ports: what nobody but the wearer hears, and what a room hears.
_WORN: Final = ("headset", "headphone", "headphones", "handset", "hands-free", "earpiece")
_HEARD: Final = ("speaker", "speakers", "portable", "tv", "car", "hifi", "hdmi", "line", "spdif", "internal")

Way: TypeAlias = Literal["input", "output"]


@quick_dataclass(frozen=True, slots=True)
class ServerDevice:
    """One sink or source. ``node`` is its name on the server; ``worn``: whether it's a headset, where the server knows."""

    node: str
    name: str  # for people
    way: Way
    channels: int
    default: bool
    worn: bool | None


@quick_dataclass(frozen=True, slots=True)
class SoundServer:
    """A server that answered."""

    name: str  # PulseAudio or PipeWire
    devices: tuple[ServerDevice, ...]

    def default_is_worn(self) -> bool | None:
        """Whether its default sink is a headset, where it knows."""
        return next((device.worn for device in self.devices if device.way == "output" and device.default), None)


def ask_server() -> SoundServer | None:
    """What the sound server of this session has; ``None`` without one, or without pactl. Blocks for some 20 ms."""
    if shutil.which("pactl") is None:
        return None
    about, found = _pactl("info"), _pactl("list")
    if not isinstance(about, dict) or not isinstance(found, dict):
        return None
    try:
        return read_server(about, found)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _pactl(command: str) -> Any:
    try:
        environ = {**os.environ, "LC_ALL": "C"}  # pactl 16 writes numbers as the locale has them, which is no JSON
        command_line = ["pactl", "--format=json", command]
        done = subprocess.run(command_line, capture_output=True, timeout=_PROBE_SECONDS, check=True, env=environ)  # noqa: S603 - ours
        return json.loads(done.stdout.decode(errors="replace"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def read_server(about: Mapping[str, Any], found: Mapping[str, Any]) -> SoundServer:
    """From what ``pactl info`` and ``pactl list`` print as JSON. What a sink plays (its monitor) is listed only where it is the default
    source. Raises KeyError, TypeError, ValueError, AttributeError."""
    name = "PipeWire" if "PipeWire" in str(about["server_name"]) else "PulseAudio"
    sinks = [_device(one, "output", about["default_sink_name"]) for one in found["sinks"]]
    sources = [_device(one, "input", about["default_source_name"]) for one in found["sources"] if _is_shown(one, about)]
    return SoundServer(name, _distinct([*sinks, *sources]))


def _is_shown(source: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
    monitors = source.get("monitor_source") or source.get("monitor_of_sink") or ""
    is_monitor = bool(monitors) or source.get("properties", {}).get("device.class") == "monitor"
    return not is_monitor or source["name"] == about["default_source_name"]


def _device(one: Mapping[str, Any], way: Way, default: str) -> ServerDevice:
    channels = len([word for word in str(one.get("channel_map", "mono")).split(",") if word])
    return ServerDevice(
        str(one["name"]), str(one.get("description") or one["name"]), way, min(channels, _CHANNELS), one["name"] == default, _worn(one)
    )


def _worn(one: Mapping[str, Any]) -> bool | None:
    """The port in use tells more than the device: a sound card has one for headphones."""
    ports = {port.get("name"): port for port in one.get("ports") or []}
    in_use = ports.get(one.get("active_port"), {})
    kinds = (str(in_use.get("type", "")), str(one.get("properties", {}).get("device.form_factor", "")))
    for kind in (kind.casefold() for kind in kinds):
        if kind in _WORN:
            return True
        if kind in _HEARD:
            return False
    return None


def _distinct(devices: Sequence[ServerDevice]) -> tuple[ServerDevice, ...]:
    """Devices of one kind have one description: then each is told by its node too."""
    names = [(device.way, device.name) for device in devices]
    return tuple(
        device
        if names.count((device.way, device.name)) == 1
        else ServerDevice(device.node, f"{device.name} [{device.node}]", device.way, device.channels, device.default, device.worn)
        for device in devices
    )


@contextmanager
def led_to(node: str | None, way: str) -> Iterator[None]:
    """Streams that are opened meanwhile go to that node. One thread at a time: it is a variable of the process."""
    if node is None:
        yield
        return
    variable = _VARIABLES[way]
    before = os.environ.get(variable)
    os.environ[variable] = node
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
