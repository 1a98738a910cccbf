"""The media thread: an event loop of its own for ICE, RTP and encoding, so that nobody else's work makes a packet late.

Beside 100 ms of Python work in the same loop a 20 ms tick is 89 ms late; in a thread of its own, 5 ms. This is the one
place where the line between the engine's loop and the media loop is crossed::

    engine's loop                                 media loop
    await media.run(coroutine)      ------->      runs it, cancels it when the caller is cancelled
    media.ports.port(options)       ------->      a WebRtcPort behind every await
    media.rtp_ports.port(options)   ------->      an RtpPort, the same way
    async for event in port.events() <-------     Outbox
    port.leg                        ==the same object on both sides==
"""

import asyncio
import importlib
import sys
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar, TypeVarTuple

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.clock import Lateness
from sinchphone.media.crossing import IDENTITY_MODULE, WEBRTC_MODULE, CrossingPorts, CrossingRtpPorts
from sinchphone.media.port import Ports, RtpPorts

# How long another thread may keep the interpreter. A tick asks for it back some six times (after the wait, the encoder, the socket, …):
# beside a busy main loop packets are some 100 ms late with the default of 5 ms, 5 with 1 ms, 3 with this (medians).
SWITCH_SECONDS: Final = 0.0005
_STOP_SECONDS: Final = 5.0
_STOP_ROUNDS: Final = 5

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class MediaThread:
    """A thread with an event loop. ``start`` and ``stop`` may be called again and again, in any thread but this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.ports: Final[Ports] = CrossingPorts(self)
        self.rtp_ports: Final[RtpPorts] = CrossingRtpPorts(self)
        self.lateness: Final = Lateness()  # of what ticks in this thread

    def start(self) -> Self:
        """Start the thread, unless it runs."""
        with self._lock:
            if self._thread is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._work, args=(self._loop,), name="media", daemon=True)
                self._thread.start()
                _switching.hasten()
        return self

    def stop(self) -> None:
        """Cancel what still runs in the thread and end it. Everything that was opened in it should have been closed before."""
        with self._lock:
            thread, loop = self._thread, self._loop
            if thread is None or loop is None:
                return
            if thread is threading.current_thread():
                raise LocalProtocolError("the media thread can't stop itself")
            self._thread = self._loop = None
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP_SECONDS)
            _switching.relax()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The media loop. Raises LocalProtocolError while the thread doesn't run."""
        loop = self._loop
        if loop is None:
            raise LocalProtocolError("the media thread isn't running")
        return loop

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What ``work`` returns or raises, run in the media loop. Cancelling it cancels ``work``.

        Raises MediaError when the thread is stopped meanwhile, LocalProtocolError when it doesn't run.
        """
        try:
            loop = self.loop
        except LocalProtocolError:
            work.close()
            raise
        if loop is asyncio.get_running_loop():
            return await work
        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError as error:  # stopped in this moment
            work.close()
            raise MediaError("the media thread was stopped") from error
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and not current.cancelling():  # nobody cancelled us: the thread was stopped
                raise MediaError("the media thread was stopped") from None
            raise

    def call_soon(self, function: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        """Call ``function`` in the media loop, soon. From any thread; raises LocalProtocolError while the thread doesn't run."""
        self.loop.call_soon_threadsafe(function, *arguments)

    def warm_up(self) -> None:
        """Start importing what the first port will need (a third of a second), in a thread, and return at once."""
        threading.Thread(target=_prepare, name="media-imports", daemon=True).start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.to_thread(self.stop)

    @staticmethod
    def _work(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _prepare() -> None:
    importlib.import_module(WEBRTC_MODULE)
    importlib.import_module(IDENTITY_MODULE).IDENTITIES.fill()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel every task, those too that come up meanwhile, and let each clean up."""
    loop.run_until_complete(asyncio.sleep(0))  # what was handed over last becomes a task
    for _ in range(_STOP_ROUNDS):
        tasks = asyncio.all_tasks(loop)
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=_STOP_SECONDS / 2 / _STOP_ROUNDS))


class _Switching:
    """The interpreter's switch interval: short while any media thread runs, as it was before otherwise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._usual = 0.0

    def hasten(self) -> None:
        with self._lock:
            if not self._threads:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(self._usual, SWITCH_SECONDS))
            self._threads += 1

    def relax(self) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                sys.setswitchinterval(self._usual)


_switching: Final = _Switching()
