"""The microphone and the loudspeaker of one call: found before it, opened when they are needed, opened again when they stopped.

Every method may block: call them in a thread that may wait. They may be called in several threads at once.
"""

import threading
from collections.abc import Callable

from sinchphone.errors import DeviceError
from sinchphone.media.desk import devices
from sinchphone.media.desk.devices import Direction, Loudspeaker, Microphone
from sinchphone.media.desk.handset import Handset
from sinchphone.media.sound import SoundOptions, SoundWarning

_PARTS = {Direction.INPUT: "microphone", Direction.OUTPUT: "loudspeaker"}


class Streams:
    """``listens`` says whether the call needs a microphone.

    ``report`` and ``stopped`` (a stream ended by itself) are called from any thread.
    """

    def __init__(
        self,
        options: SoundOptions,
        handset: Handset,
        *,
        listens: bool,
        report: Callable[[SoundWarning], None],
        stopped: Callable[[], None],
    ) -> None:
        self._options = options
        self._handset = handset
        self._report = report
        self._stopped = stopped
        self._wanted = [Direction.INPUT, Direction.OUTPUT] if listens and options.microphone else [Direction.OUTPUT]
        self._usable: set[Direction] = set()
        self._lock = threading.Lock()  # of all below
        self._microphone: Microphone | None = None
        self._loudspeaker: Loudspeaker | None = None
        self._loudspeaker_option: int | str | None = None
        self._latency: devices.Latency = devices.LOW_LATENCY
        self._closed = False

    @property
    def xruns(self) -> int:
        """Blocks that the open streams have lost."""
        return sum(stream.xruns for stream in (self._microphone, self._loudspeaker) if stream is not None)

    @property
    def may_be_slower(self) -> bool:
        """Whether the streams run with as little latency as the devices have, so that ``slow_down`` would help."""
        return self._latency == devices.LOW_LATENCY

    def slow_down(self) -> None:
        """From the next opening on, buffer more."""
        self._latency = devices.SAFE_LATENCY_SECONDS

    def find(self) -> None:
        """Look for the devices that the options want. One that was named and isn't there raises DeviceError; a default one that isn't
        there is left out, with one warning for both directions."""
        if self._options.ring is not None:
            devices.find_device(self._options.ring, Direction.OUTPUT)
        missing: dict[Direction, DeviceError] = {}
        for direction in self._wanted:
            named = self._options.input if direction is Direction.INPUT else self._options.output
            try:
                devices.find_device(named, direction)
                self._usable.add(direction)
            except DeviceError as error:
                if named is not None:
                    raise
                missing[direction] = error
        if missing:
            parts = " and no ".join(_PARTS[direction] for direction in missing)
            reason = next(iter(missing.values()))
            self._report(SoundWarning(f"{reason}; the call has no {parts}", reason.hint))

    def open(self) -> None:
        """Open what the call needs, as far as it was found; reports what refuses."""
        with self._lock:
            self._try(self._open_loudspeaker, self._options.output)
            self._try(self._open_microphone)

    def open_loudspeaker(self, option: int | str | None) -> bool:
        """Make the loudspeaker the device that ``option`` (output or ring) names; reports one that refuses. Whether there is one now."""
        with self._lock:
            self._try(self._open_loudspeaker, option)
            return self._loudspeaker is not None

    def reopen(self) -> DeviceError | None:
        """Close and open what the call needs, after a fresh look at the devices; the failure, if there was one."""
        with self._lock:
            self._drop()
            devices.forget_devices()
            try:
                self._open_loudspeaker(self._options.output)
                self._open_microphone()
            except DeviceError as error:
                return error
            return None

    def close(self) -> None:
        """Close the streams; none can be opened any more. May be called twice."""
        with self._lock:
            self._closed = True
            self._drop()

    def _try(self, work: Callable[..., None], *arguments: int | str | None) -> None:
        try:
            work(*arguments)
        except DeviceError as error:
            self._report(SoundWarning(str(error), error.hint))

    def _open_loudspeaker(self, option: int | str | None) -> None:
        if self._closed or (option is None and Direction.OUTPUT not in self._usable):
            return
        if self._loudspeaker is not None:
            if self._loudspeaker_option == option:
                return
            self._loudspeaker.close()
            self._loudspeaker = None
        loudspeaker = Loudspeaker(devices.find_device(option, Direction.OUTPUT), self._handset.render, self._stopped, self._latency)
        loudspeaker.open()
        self._loudspeaker, self._loudspeaker_option = loudspeaker, option

    def _open_microphone(self) -> None:
        if self._closed or Direction.INPUT not in self._usable or self._microphone is not None:
            return
        microphone = Microphone(
            devices.find_device(self._options.input, Direction.INPUT), self._handset.capture, self._stopped, self._latency
        )
        microphone.open()
        self._microphone = microphone

    def _drop(self) -> None:
        for stream in (self._microphone, self._loudspeaker):
            if stream is not None:
                stream.close()
        self._microphone = self._loudspeaker = None
