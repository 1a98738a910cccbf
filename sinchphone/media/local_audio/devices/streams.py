"""The microphone and the loudspeaker of one call: found before it, opened when they are needed, opened again when they stopped.

A device that was named and goes away in the call is replaced by the system's default, until it comes back. Every method may block:
call them in a thread that may wait. They may be called in several threads at once.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from sinchphone.errors import DeviceError
from sinchphone.media.local_audio.audio_io import AudioIo
from sinchphone.media.local_audio.devices import sound_cards as devices
from sinchphone.media.local_audio.devices.sound_cards import Direction, Loudspeaker, Microphone, NoLibraryError, SoundDevice
from sinchphone.media.sound import DevicesChanged, SoundOptions, SoundWarning
from sinchphone.quick_dataclass import quick_dataclass

_PARTS: Final = {Direction.INPUT: "microphone", Direction.OUTPUT: "loudspeaker"}

_Option: TypeAlias = int | str | None


@quick_dataclass(frozen=True, slots=True)
class _Opened:
    """A stream that runs, for what it was opened, and on what."""

    stream: Microphone | Loudspeaker
    option: _Option
    replaced: DeviceError | None = None  # by the default device, since the one that was named isn't there


def check_named(options: SoundOptions) -> None:
    """Whether the devices that are named are there: what a call would find out too late. Blocks; raises DeviceError."""
    if not options.devices:
        return
    listens = options.microphone and not options.play and options.pipe_in is None and options.tone_hz is None
    wanted = [
        (options.ring, Direction.OUTPUT),
        (options.output, Direction.OUTPUT),
        *([(options.input, Direction.INPUT)] if listens else []),
    ]
    for name, direction in wanted:
        if name is not None:
            devices.find_device(name, direction)


class Streams:
    """``listens`` says whether the call needs a microphone.

    ``report`` and ``stopped`` (a stream ended by itself) are called from any thread.
    """

    def __init__(
        self,
        options: SoundOptions,
        audio_io: AudioIo,
        *,
        listens: bool,
        report: Callable[[SoundWarning], None],
        stopped: Callable[[], None],
    ) -> None:
        self._options = options
        self._audio_io = audio_io
        self._report = report
        self._stopped = stopped
        self._wanted = [Direction.INPUT, Direction.OUTPUT] if listens and options.microphone else [Direction.OUTPUT]
        self._usable: dict[Direction, SoundDevice] = {}  # what was found
        self._hopeless = False
        self._lock = threading.Lock()  # of all below
        self._open: dict[Direction, _Opened] = {}
        self._chosen: dict[Direction, str] = {}  # in the call, in place of what the options name
        self._latency = 0  # which of devices.LATENCIES
        self._closed = False

    @property
    def wants_microphone(self) -> bool:
        """Whether the call needs a microphone, and may find one."""
        return Direction.INPUT in self._wanted and not self._hopeless

    @property
    def loudspeaker(self) -> str | None:
        """The name of the loudspeaker that is open, or else of the one that was found."""
        opened, found = self._open.get(Direction.OUTPUT), self._usable.get(Direction.OUTPUT)
        return opened.stream.device.name if opened is not None else found.name if found is not None else None

    @property
    def loudspeaker_is_worn(self) -> bool | None:
        """Whether nobody but the wearer hears that loudspeaker, where the system knows."""
        opened, found = self._open.get(Direction.OUTPUT), self._usable.get(Direction.OUTPUT)
        return opened.stream.device.worn if opened is not None else found.worn if found is not None else None

    @property
    def in_use(self) -> DevicesChanged:
        """The devices that are open."""
        microphone, loudspeaker = (self._open.get(direction) for direction in (Direction.INPUT, Direction.OUTPUT))
        return DevicesChanged(
            microphone=microphone.stream.device.name if microphone is not None else None,
            loudspeaker=loudspeaker.stream.device.name if loudspeaker is not None else None,
        )

    @property
    def lack(self) -> bool:
        """Whether a device that the call wants isn't there, and may come (back)."""
        return any(self._lacks(direction) for direction in self._wanted) and not (self._hopeless or self._closed)

    @property
    def xruns(self) -> int:
        """Blocks that the open streams have lost."""
        return sum(opened.stream.xruns for opened in list(self._open.values()))

    @property
    def blocks(self) -> dict[Microphone | Loudspeaker, int]:
        """How many blocks each open stream has exchanged."""
        return {opened.stream: opened.stream.blocks for opened in list(self._open.values())}

    @property
    def may_be_slower(self) -> bool:
        """Whether ``slow_down`` would help."""
        return self._latency + 1 < len(devices.LATENCIES)

    def slow_down(self) -> None:
        """From the next opening on, buffer more."""
        self._latency = min(self._latency + 1, len(devices.LATENCIES) - 1)

    def find(self) -> None:
        """Look for the devices that the options want. One that was named and isn't there raises DeviceError; a default one that isn't
        there is left out, with one warning for both directions."""
        if self._options.ring is not None:
            devices.find_device(self._options.ring, Direction.OUTPUT)
        missing: dict[Direction, DeviceError] = {}
        for direction in self._wanted:
            try:
                self._usable[direction] = devices.find_device(self._option(direction), direction)
            except DeviceError as error:
                if self._option(direction) is not None:
                    raise
                self._hopeless = self._hopeless or isinstance(error, NoLibraryError)
                missing[direction] = error
        if missing:
            parts = " and no ".join(_PARTS[direction] for direction in missing)
            reason = next(iter(missing.values()))
            self._report(SoundWarning(message=f"{reason}; the call has no {parts}", hint=reason.hint))

    def open(self) -> None:
        """Open what the call needs, as far as it was found; reports what refuses."""
        with self._lock:
            for direction in (Direction.OUTPUT, Direction.INPUT):
                if direction in self._usable:
                    self._try(direction, self._option(direction))

    def open_loudspeaker(self, *, ring: bool = False) -> bool:
        """Make the loudspeaker the output device, or the ring device; reports one that refuses. Whether there is one now."""
        with self._lock:
            option = self._options.ring if ring else self._option(Direction.OUTPUT)
            if option is not None or Direction.OUTPUT in self._usable:
                self._try(Direction.OUTPUT, option)
            return Direction.OUTPUT in self._open

    def reopen(self) -> DeviceError | None:
        """Close and open what the call needs, after a fresh look at the devices; the failure, if there was one."""
        with self._lock:
            self._drop()
            devices.forget_devices()
            return self._fill()

    def mend(self) -> DeviceError | None:
        """Try again to open what the call lacks. What is open goes on, unless the other has come (back); the failure, if there was one."""
        seen = devices.look_aside() if self._open else ()
        with self._lock:
            if not self._open or self._has_come(seen):
                self._drop()
                devices.forget_devices()
            return self._fill()

    def next_device(self) -> bool:
        """Move to the next loudspeaker of the same host, and to its microphone if it has one. Whether there is another that opens."""
        seen = devices.look_aside() or devices.list_devices()
        with self._lock:
            before, opened = self._chosen, self._open.get(Direction.OUTPUT)
            for device in _following(seen, opened.stream.device if opened is not None else None):
                ways = [direction for direction in Direction if device.channels(direction)]
                self._chosen = dict.fromkeys(ways, _label(device))
                self._drop()
                devices.forget_devices()
                self._fill()
                if not self._lacks(Direction.OUTPUT):
                    return True
            self._chosen = before
            self._fill()
            return False

    def choose(self, wanted: Mapping[Direction, int | str], *, talks: bool) -> DeviceError | None:
        """Use these devices from now on; before the call ``talks`` what isn't open yet is opened when the call needs it. The failure, if
        there was one: then what was used before is used."""
        seen = devices.look_aside() if self._open else ()
        try:
            found = {direction: devices.find_device(one, direction, seen or None) for direction, one in wanted.items()}
        except DeviceError as error:
            return error
        with self._lock:
            before, usable = self._chosen, self._usable
            needed = self._wanted if talks else list(self._open)
            self._chosen = {**before, **{direction: _label(device) for direction, device in found.items()}}
            self._usable = {**usable, **found}
            failure = self._exchange_for(found, needed)
            if failure is not None:
                self._chosen, self._usable = before, usable
                self._drop()
                self._fill(needed)
            return failure

    def rest(self) -> None:
        """Close the streams until ``open``."""
        with self._lock:
            self._drop()

    def close(self) -> None:
        """Close the streams; none can be opened any more. May be called twice."""
        with self._lock:
            self._closed = True
            self._drop()

    def _option(self, direction: Direction) -> _Option:
        """What was chosen or named; once it was found, an index is a name: after the next look it may be that of another device."""
        if direction in self._chosen:
            return self._chosen[direction]
        named = self._options.input if direction is Direction.INPUT else self._options.output
        found = self._usable.get(direction)
        return _label(found) if found is not None and (isinstance(named, int) or str(named).isdecimal()) else named

    def _exchange_for(self, found: Mapping[Direction, SoundDevice], needed: Sequence[Direction]) -> DeviceError | None:
        """Open these in place of what is open; others go on, unless one of these isn't in our list of devices, which stands still while a
        stream is open."""
        known = {(device.name, device.host) for device in devices.list_devices()}
        if any((device.name, device.host) not in known for device in found.values()):
            self._drop()
            devices.forget_devices()
        failure = self._fill(needed)
        replaced = next((opened.replaced for direction in found if (opened := self._open.get(direction)) and opened.replaced), None)
        return failure or replaced

    def _try(self, direction: Direction, option: _Option) -> None:
        try:
            self._open_one(direction, option)
        except DeviceError as error:
            self._report(SoundWarning(message=str(error), hint=error.hint))
            return
        opened = self._open.get(direction)
        if opened is not None and opened.replaced is not None:
            reason = opened.replaced
            self._report(SoundWarning(message=f"{reason}; {opened.stream.device.name} is used in its place", hint=reason.hint))

    def _fill(self, needed: Sequence[Direction] | None = None) -> DeviceError | None:
        """Open what isn't open, of all that the call wants or of what is ``needed`` now."""
        failure: DeviceError | None = None
        for direction in (Direction.OUTPUT, Direction.INPUT):
            if direction in (self._wanted if needed is None else needed):
                try:
                    self._open_one(direction, self._option(direction))
                except DeviceError as error:
                    failure = failure or error
        return failure

    def _has_come(self, seen: Sequence[SoundDevice]) -> bool:
        """Whether a device that the call lacks was seen, but isn't in our list, which stands still while a stream is open."""
        known = {(device.name, device.host) for device in devices.list_devices()}
        for direction in self._wanted:
            if self._lacks(direction):
                with suppress(DeviceError):
                    found = devices.find_device(self._option(direction), direction, seen)
                    if found.node is not None or (found.name, found.host) not in known:
                        return True
        return False

    def _lacks(self, direction: Direction) -> bool:
        opened = self._open.get(direction)
        return opened is None or opened.replaced is not None

    def _open_one(self, direction: Direction, option: _Option) -> None:
        if self._closed:
            return
        opened = self._open.get(direction)
        if opened is not None:
            if opened.option == option:
                return
            self._open.pop(direction).stream.close()
        replaced: DeviceError | None = None
        try:
            device = devices.find_device(option, direction)
        except DeviceError as error:
            if option is None:
                raise
            device, replaced = devices.find_device(None, direction), error
        self._open[direction] = _Opened(self._start(direction, device), option, replaced)

    def _start(self, direction: Direction, device: SoundDevice) -> Microphone | Loudspeaker:
        latency = devices.LATENCIES[self._latency]
        if direction is Direction.INPUT:
            stream: Microphone | Loudspeaker = Microphone(device, self._audio_io.capture, self._stopped, latency)
        else:
            stream = Loudspeaker(device, self._audio_io.render, self._stopped, latency)
        stream.open()
        return stream

    def _drop(self) -> None:
        for opened in self._open.values():
            opened.stream.close()
        self._open.clear()


def _label(device: SoundDevice) -> str:
    """A name that finds this device again."""
    return f"{device.name}, {device.host}"


def _following(seen: Sequence[SoundDevice], current: SoundDevice | None) -> list[SoundDevice]:
    """The other loudspeakers of the same host, from the one after ``current`` on and round."""
    outputs = [device for device in seen if device.outputs and (current is None or device.host == current.host)]
    at = next((number for number, device in enumerate(outputs) if current is not None and device.name == current.name), None)
    return outputs if at is None else outputs[at + 1 :] + outputs[:at]
