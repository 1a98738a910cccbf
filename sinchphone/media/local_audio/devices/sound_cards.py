"""Sound cards, through PortAudio: which there are, and raw streams from and to them.

::

    microphone -> PortAudio's thread -> deliver(block of 480 samples)
    loudspeaker <- PortAudio's thread <- render(samples)

sounddevice is imported inside the functions, because the import alone takes 60 ms and fails where PortAudio is missing.
Everything here but ``deliver``, ``render`` and ``ended`` blocks: call it in a thread that may wait. A card that refuses 48 kHz is used at
its own rate, and converted.
"""

import json
import logging
import math
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from sinchphone.audio.frame import RATE, Samples
from sinchphone.errors import DeviceError
from sinchphone.media.local_audio.devices.sound_server import ALSA_NAME, ask_server, led_to
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.media.local_audio.devices.rates import RateConverter

BLOCK_SAMPLES: Final = 480
LOW_LATENCY: Final = "low"
SAFE_LATENCY_SECONDS: Final = 0.04  # adds 30 ms mouth to ear, and stands 20 ms of scheduling trouble
LATENCIES: Final[tuple["Latency", ...]] = (LOW_LATENCY, SAFE_LATENCY_SECONDS, 0.1)  # one after the other, where blocks are lost
_LOOK_SECONDS: Final = 3.0  # for a process that lists the devices
_SCAN_SECONDS: Final = 5.0  # an older list of devices is read again, or a headset plugged in later isn't found

Latency: TypeAlias = float | str

_LOOK: Final = """
import dataclasses, json
from sinchphone.media.local_audio.devices.sound_cards import list_devices
print(json.dumps([dataclasses.asdict(device) for device in list_devices()]))
"""

_portaudio_lock = threading.RLock()  # PortAudio isn't thread safe; also guards the two below
_open_streams: set["_Stream"] = set()
_scanned_at: float | None = None

_logger = logging.getLogger(__name__)


class NoLibraryError(DeviceError):
    """There is no PortAudio: waiting for a device to come makes no sense."""


class Direction(Enum):
    """Which way the sound goes, seen from the program."""

    INPUT = "input"
    OUTPUT = "output"


@quick_dataclass(frozen=True, slots=True)
class SoundDevice:
    """One sound device. ``index`` is valid until the next look at the devices; name and host (the system's sound interface) stay."""

    index: int
    name: str
    host: str
    inputs: int
    outputs: int
    default_input: bool = False
    default_output: bool = False
    rate: int = RATE  # its own, which it takes for sure
    node: str | None = None  # of the sound server
    via: int | None = None  # the index of the device that leads to that server
    worn: bool | None = None  # whether nobody but the wearer hears it, where the system says

    def channels(self, direction: Direction) -> int:
        """How many channels it has in that direction; 0 means that it can't do it."""
        return self.inputs if direction is Direction.INPUT else self.outputs

    def is_default(self, direction: Direction) -> bool:
        """Whether the system takes it when nobody says which."""
        return self.default_input if direction is Direction.INPUT else self.default_output


def list_devices() -> tuple[SoundDevice, ...]:
    """Every sound device. Blocks for 60 ms or more; raises DeviceError where there is no PortAudio library."""
    with _portaudio_lock:
        sounddevice = _portaudio()
        try:
            hosts = [str(host["name"]) for host in sounddevice.query_hostapis()]
            default_input, default_output = (sounddevice.default.device[0], sounddevice.default.device[1])
            found = tuple(
                SoundDevice(
                    index=index,
                    name=str(found["name"]),
                    host=hosts[found["hostapi"]],
                    inputs=found["max_input_channels"],
                    outputs=found["max_output_channels"],
                    default_input=index == default_input,
                    default_output=index == default_output,
                    rate=round(found["default_samplerate"]),
                )
                for index, found in enumerate(sounddevice.query_devices())
            )
            return _with_server(found)
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"the sound devices can't be listed: {_reason(error)}") from error


def _with_server(found: tuple[SoundDevice, ...]) -> tuple[SoundDevice, ...]:
    """Those of PortAudio, and where one of them leads to a sound server, what is there, by its own names."""
    bridge = next((device for device in found if device.name == ALSA_NAME), None)
    server = ask_server() if bridge is not None else None
    if bridge is None or server is None:
        return found
    worn = server.default_is_worn()
    named = [
        SoundDevice(
            index=len(found) + number,
            name=one.name,
            host=server.name,
            inputs=one.channels if one.way == Direction.INPUT.value else 0,
            outputs=one.channels if one.way == Direction.OUTPUT.value else 0,
            default_input=one.default and one.way == Direction.INPUT.value,
            default_output=one.default and one.way == Direction.OUTPUT.value,
            node=one.node,
            via=bridge.index,
            worn=one.worn,
        )
        for number, one in enumerate(server.devices)
    ]
    return (*(replace(device, worn=worn) if device.name in (ALSA_NAME, "default") else device for device in found), *named)


def look_aside() -> tuple[SoundDevice, ...]:
    """Every sound device as it is at this moment, seen by a process of its own: the list of ours stands still while a stream is open.
    Blocks for half a second; none where that can't be done."""
    if getattr(sys, "frozen", False):  # the executable is no Python
        return ()
    try:
        done = subprocess.run([sys.executable, "-P", "-c", _LOOK], capture_output=True, timeout=_LOOK_SECONDS, check=True)  # noqa: S603
        return tuple(SoundDevice(**one) for one in json.loads(done.stdout))
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        return ()


def forget_devices() -> None:
    """Read the list of devices again at the next look, however new it is, as soon as no stream is open. May block for a moment.

    A sound server that restarts has no devices at first: without this, what is found then holds for _SCAN_SECONDS.
    """
    global _scanned_at  # noqa: PLW0603
    with _portaudio_lock:
        if _scanned_at is not None:  # else it is read anyway
            _scanned_at = -math.inf


def find_device(wanted: int | str | None, direction: Direction, among: Sequence[SoundDevice] | None = None) -> SoundDevice:
    """The device that ``wanted`` means: an index, part of its name and host (any case), or ``None`` for the system's default.

    Where several fit, one whose name is exactly that wins, then one of the default device's host. ``among``: look there, and not at the
    system, which blocks. Raises DeviceError.
    """
    devices = [device for device in (list_devices() if among is None else among) if device.channels(direction)]
    default = next((device for device in devices if device.is_default(direction)), None)
    if wanted is None:
        if default is None:
            raise DeviceError(f"there is no sound {direction.value} device", hint=_no_device_hint())
        return default
    if isinstance(wanted, int) or wanted.isdecimal():
        fitting = [device for device in devices if device.index == int(wanted)]
    else:
        fitting = _fitting(wanted, devices, default)
    if len(fitting) != 1:
        raise _no_choice(wanted, direction, fitting or devices, several=bool(fitting))
    return fitting[0]


def _fitting(wanted: str, devices: Sequence[SoundDevice], default: SoundDevice | None) -> list[SoundDevice]:
    words = _folded(wanted).split()
    fitting = [device for device in devices if all(word in _folded(f"{device.name}, {device.host}, {device.node}") for word in words)]
    exact = [device for device in fitting if _folded(wanted) in (_folded(device.name), _folded(device.node or ""))]
    fitting = exact or fitting
    served = [device for device in fitting if device.node is not None]  # the card itself is the server's, which holds it
    if len(served) == 1:
        return served
    same_host = [device for device in fitting if default is not None and device.host == default.host]
    return same_host if len(same_host) == 1 else fitting


def _folded(text: str) -> str:
    """The text for comparing: in any case, and however its letters are put together (Unicode 3.13, compatibility caseless matching)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _no_choice(wanted: int | str, direction: Direction, devices: Sequence[SoundDevice], *, several: bool) -> DeviceError:
    names = "; ".join(f"{device.index} {device.name} ({device.host})" for device in devices[:8])
    if several:
        return DeviceError(f"several sound {direction.value} devices fit {wanted!r}", hint=f"say which: {names}")
    return DeviceError(
        f"there is no sound {direction.value} device {wanted!r}",
        hint=f"there are: {names}" if names else _no_device_hint(),
    )


class _Stream:
    """A raw mono stream, at 48 kHz whatever the card's rate is. ``ended`` is called, in a thread of PortAudio's, when it stops without
    being told to."""

    direction: Direction

    def __init__(self, device: SoundDevice, ended: Callable[[], None], latency: Latency) -> None:
        self.device = device
        self.blocks = 0
        self.xruns = 0  # blocks that the system lost or got too late
        self.failures = 0  # of our own code in the callback: a bug, but the sound goes on
        self._latency = latency
        self._ended = ended
        self._closing = False
        self._channels = 1
        self._stream: Any = None

    def open(self) -> None:
        """Start the stream. Raises DeviceError."""
        with _portaudio_lock:
            sounddevice = _portaudio()
            try:
                self._stream = self._start(sounddevice)
            except (sounddevice.PortAudioError, ValueError) as error:
                message = f"the sound {self.direction.value} device {self.device.name} can't be opened: {_reason(error)}"
                raise DeviceError(message, hint="another program may hold it: choose another device, or make the call without") from error
            _open_streams.add(self)

    def close(self) -> None:
        """Stop at once. May be called twice."""
        self._closing = True
        with _portaudio_lock:
            _open_streams.discard(self)
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.close(ignore_errors=True)
                if self.failures:
                    _logger.error("%d blocks of %s were not served: a bug of this program", self.failures, self.device.name)

    def _start(self, sounddevice: Any) -> Any:
        """Mono at 48 kHz; stereo, or the card's own rate, where a bare one knows nothing else."""
        ways = [(rate, channels) for rate in dict.fromkeys((RATE, self.device.rate)) for channels in (1, 2)]
        first: Exception | None = None
        for rate, channels in ways:
            if channels <= max(1, self.device.channels(self.direction)):
                try:
                    with led_to(self.device.node, self.direction.value):
                        return self._start_with(sounddevice, rate, channels)
                except sounddevice.PortAudioError as error:
                    first = first or error
        assert first is not None, "mono was tried"
        raise first

    def _start_with(self, sounddevice: Any, rate: int, channels: int) -> Any:
        self._channels = channels
        self._convert_at(rate)
        make = sounddevice.RawInputStream if self.direction is Direction.INPUT else sounddevice.RawOutputStream
        # WASAPI refuses any rate but the device's own (PortAudio #314) unless it may convert.
        settings = sounddevice.WasapiSettings(auto_convert=True) if "WASAPI" in self.device.host else None
        stream = make(
            samplerate=rate,
            blocksize=BLOCK_SAMPLES * rate // RATE,
            device=self.device.index if self.device.via is None else self.device.via,
            channels=channels,
            dtype="int16",
            latency=self._latency,
            extra_settings=settings,
            callback=self._called,
            finished_callback=self._finished,
        )
        try:
            stream.start()
        except BaseException:
            stream.close(ignore_errors=True)
            raise
        return stream

    def _called(self, buffer: Any, samples: int, _time: object, status: object) -> None:
        """PortAudio's thread: copy or pull, count, return. An exception that got out would end the stream without a word."""
        self.blocks += 1
        self.xruns += bool(status)
        try:
            self._exchange(buffer, samples)
        except Exception:  # noqa: BLE001
            self.failures += 1

    def _convert_at(self, rate: int) -> None:
        raise NotImplementedError

    def _exchange(self, buffer: Any, samples: int) -> None:
        raise NotImplementedError

    def _finished(self) -> None:
        if not self._closing:
            self._ended()


class Microphone(_Stream):
    """Gives blocks of captured sound to ``deliver``, which must not block."""

    direction = Direction.INPUT

    def __init__(
        self, device: SoundDevice, deliver: Callable[[Samples], None], ended: Callable[[], None], latency: Latency = LOW_LATENCY
    ) -> None:
        super().__init__(device, ended, latency)
        self._deliver = deliver
        self._converter: RateConverter | None = None

    def _convert_at(self, rate: int) -> None:
        self._converter = None
        if rate != RATE:
            from sinchphone.media.local_audio.devices.rates import RateConverter

            self._converter = RateConverter(rate, RATE)

    def _exchange(self, buffer: Any, samples: int) -> None:
        block = np.frombuffer(buffer, np.int16)[:: self._channels].copy()
        self._deliver(block if self._converter is None else self._converter.push(block))


class Loudspeaker(_Stream):
    """Plays what ``render(samples)`` returns, which must not block and must return so many."""

    direction = Direction.OUTPUT

    def __init__(
        self, device: SoundDevice, render: Callable[[int], Samples], ended: Callable[[], None], latency: Latency = LOW_LATENCY
    ) -> None:
        super().__init__(device, ended, latency)
        self._render = self._pull = render

    def _convert_at(self, rate: int) -> None:
        self._pull = self._render
        if rate != RATE:
            from sinchphone.media.local_audio.devices.rates import ConvertedSource

            self._pull = ConvertedSource(self._render, RATE, rate).pull

    def _exchange(self, buffer: Any, samples: int) -> None:
        target = np.frombuffer(buffer, np.int16)
        target[:] = 0  # what is in the buffer now is noise
        target.reshape(samples, self._channels)[:] = self._pull(samples)[:, np.newaxis]


def _portaudio() -> Any:
    """The sounddevice module, with a fresh list of devices where that is possible. Raises DeviceError. Under the lock."""
    global _scanned_at  # noqa: PLW0603
    now = time.monotonic()
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise NoLibraryError("the PortAudio library is missing: no sound device can be used", hint=_no_library_hint()) from error
    _take_any_name(sounddevice)
    if _scanned_at is not None and now - _scanned_at > _SCAN_SECONDS and not _open_streams:
        with suppress(sounddevice.PortAudioError):  # not initialised, because the last attempt failed: the next line tries again
            sounddevice._terminate()
        try:
            sounddevice._initialize()
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"PortAudio can't be started: {_reason(error)}", hint=_no_device_hint()) from error
        _scanned_at = now
    elif _scanned_at is None:
        _scanned_at = now
    return sounddevice


class _AnyName(bytes):
    """A name as PortAudio gives it. What isn't UTF-8 in it is replaced and raises nothing."""

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return bytes(self).decode(encoding, "replace" if errors == "strict" else errors)


def _take_any_name(sounddevice: Any) -> None:
    """One name that isn't UTF-8 would raise out of every look at the devices, and out of opening that one (python-sounddevice 0.5).
    On Windows it is tried in other encodings, and stays as it is."""
    read = getattr(sounddevice, "_ffi_string", None)
    if sys.platform != "win32" and read is not None and not getattr(read, "takes_any_name", False):

        def read_any(pointer: Any) -> _AnyName:
            return _AnyName(read(pointer))

        read_any.takes_any_name = True  # type: ignore[attr-defined]
        sounddevice._ffi_string = read_any


def _reason(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def _no_library_hint() -> str:
    if sys.platform.startswith("linux"):
        return "install it: apt-get install libportaudio2 libasound2-plugins"
    return "install it again: pip install --force-reinstall sounddevice"


def _no_device_hint() -> str:
    if sys.platform.startswith("linux"):
        return "start PulseAudio or PipeWire (apt-get install pulseaudio libasound2-plugins), or connect a headset"
    if sys.platform == "darwin":
        return "connect a headset, and allow the terminal to use the microphone (System Settings, Privacy & Security)"
    return "connect a headset, and allow apps to use the microphone (Settings, Privacy & security)"
