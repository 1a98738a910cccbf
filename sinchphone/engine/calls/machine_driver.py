"""Drives one call machine: inbox, deadline, outbox, goodbye. What the other effects mean is said by whoever has the call.

::

    orders -----------\
    channel messages --+--> inbox --> CallMachine.handle --> Send --> outbox (channel)
    media -------------/                  ^ deadline     \\-> all other effects --> perform

``engine.call.Call`` joins it to ports and sound of this machine, a gateway's leg to descriptions that come from elsewhere.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from sinchphone.engine.serial_queue import SerialQueue
from sinchphone.errors import (
    AudioFileError,
    AuthenticationError,
    DeviceError,
    ForbiddenError,
    MediaError,
    NetworkError,
    NotFoundError,
    PlatformError,
    SinchphoneError,
)
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.states import NETWORK_DOMAIN, PLATFORM_DOMAIN, Cause, EndedBy, State
from sinchphone.protocol.call.vocabulary import Input, Phase
from sinchphone.protocol.mxp.message import CallFailure, Message, Method

GOODBYE_S: Final = 1.0  # how long the last messages may take
_REST_S: Final = 0.1  # the same for all other work
_OUTBOX: Final = ""
_ADDING: Final = (Method.ACK, Method.PEER_EVENT)  # what devices may say again and again, and that asks for work
_ENDING: Final = (Method.LEAVE, Method.DENY, Method.CANCEL, Method.ERROR)
_STATUSES: Final[Mapping[type[SinchphoneError], int]] = {AuthenticationError: 401, ForbiddenError: 403, NotFoundError: 404}  # HTTP's

#: every effect but Send
MediaEffect: TypeAlias = (
    v.MakeOffer
    | v.PlaceCall
    | v.MakeAnswer
    | v.ApplyAnswer
    | v.AddCandidate
    | v.Renegotiate
    | v.DropPeer
    | v.CarrySound
    | v.ClientEventHeard
    | v.Entered
    | v.Ended
)

_log = logging.getLogger(__name__)


class Channel(Protocol):
    """One call's MXP conversation, as the call needs it."""

    @property
    def counters(self) -> object:
        """What has happened, for the log."""

    async def send(self, message: Message, channels: Collection[str]) -> None:
        """Publish on each of the channels. Raises NetworkError or PlatformError."""

    async def receive(self) -> Message:
        """The next message of this call. Cancelling is safe."""


class MachineDriver:
    """One task and one inbox around one machine. ``run`` it once."""

    def __init__(
        self,
        machine: CallMachine,
        channel: Channel,
        *,
        name: str,
        perform: Callable[[MediaEffect], None],
        failed: Callable[[str, SinchphoneError], None],
        closing_reason: CallFailure | None = None,
    ) -> None:
        """``perform`` does what an effect says, without waiting; ``failed`` is told which queue's work could not be done ("": a
        message of ours, or what was given to ``order``); ``closing_reason`` is what the peer is told where ``run`` is cancelled:
        without one, that we hung up."""
        self.machine = machine
        self.ended: v.Ended | None = None  # how, once it is over
        self._channel = channel
        self._name = name
        self._closing_reason = closing_reason
        self._perform = perform
        self._failed = failed
        self._inbox: asyncio.Queue[Input] = asyncio.Queue()
        self._inbox.put_nowait(v.Dial() if machine.outbound else v.Greet())  # before any order of the user
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._queues: dict[str, SerialQueue] = {}
        self._left_out = 0  # messages, since too much waited

    def put(self, event: Input) -> None:
        """One more input."""
        self._inbox.put_nowait(event)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have that done beside; cancelled when the machine is over. Raises RuntimeError while it doesn't run."""
        try:
            task = self._group.create_task(work, name=self._name)
        except RuntimeError:  # the group was ended by a bug
            work.close()
            raise
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def order(self, work: Coroutine[Any, Any, Input]) -> None:
        """Have that done beside; what it returns is an input."""
        self.start(self._report(work))

    def queue(self, name: str) -> SerialQueue:
        """The queue of that name, made when it's first asked for: its work is done one after the other."""
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = SerialQueue(partial(self._failed, name))
            self.start(queue.run())
        return queue

    def fail(self, error: SinchphoneError) -> None:
        """Something that an effect asked for could not be done: the call fails, but one that talks goes on talking."""
        if self.machine.state is not State.ESTABLISHED:
            by: EndedBy = EndedBy.MEDIA if isinstance(error, MediaError | DeviceError) else EndedBy.PLATFORM
            is_refused = by is EndedBy.PLATFORM and self.machine.phase is Phase.PLACING  # no peer is there who would read it
            self.put(v.Failed(_refusal_of(error) if is_refused else _as_told(error), by))

    async def run(self, release: Callable[[], Awaitable[None]], *beside: Coroutine[Any, Any, None]) -> None:
        """Drive the machine to its end, with that work beside, then ``release`` what the call has used. Cancelling hangs up."""
        async with self._group:
            for work in (self._read_channel(), *beside):
                self.start(work)
            try:
                await self._drive()
            finally:
                await self._finish(release)

    async def _drive(self) -> None:
        while self.machine.phase is not Phase.OVER:
            try:
                async with asyncio.timeout_at(self.machine.deadline):
                    event: Input = await self._inbox.get()
            except TimeoutError:
                event = v.Elapsed()
            self._handle(event)

    def _handle(self, event: Input) -> None:
        for effect in self.machine.handle(event, asyncio.get_running_loop().time()):
            if isinstance(effect, v.Send):
                self.queue(_OUTBOX).put(partial(self._channel.send, effect.message, effect.channels))
            else:
                self._do(effect)

    def _do(self, effect: MediaEffect) -> None:
        if isinstance(effect, v.Ended):
            self.ended = effect
        self._perform(effect)

    async def _finish(self, release: Callable[[], Awaitable[None]]) -> None:
        """Say goodbye if nobody has, briefly; then let go of everything."""
        try:
            if self.machine.phase is not Phase.OVER:
                self._handle(self._goodbye())
        except RuntimeError:  # a bug ended the group of our tasks: nothing more can be sent, but the end must be told
            _log.debug("no goodbye could be said")
        if self.ended is None:  # such a bug, or withdrawing: nobody waits any longer
            withdrawn = self.machine.phase is Phase.WITHDRAWING
            self._do(v.Ended(Cause.CANCELED if withdrawn else Cause.FAILURE, EndedBy.US))
        _log.debug("at the end of a call %s, left out: %d", self._channel.counters, self._left_out)
        await asyncio.shield(self._release(release))

    def _goodbye(self) -> Input:
        """Nobody declines for the user: an incoming call that isn't answered yet fails for that reason."""
        machine = self.machine
        if self._closing_reason is None or machine.outbound or machine.state in (State.ANSWERED, State.ESTABLISHED):
            return v.HangUp(self._closing_reason)
        return v.Failed(self._closing_reason)

    async def _release(self, release: Callable[[], Awaitable[None]]) -> None:
        for name, queue in self._queues.items():
            await queue.drain(GOODBYE_S if name == _OUTBOX else _REST_S)
        for task in self._tasks:
            task.cancel()
        await release()

    async def _read_channel(self) -> None:
        """Where too much waits to be done, what would add to it is left out: a peer that hangs up is heard whatever hangs here."""
        while True:
            message = await self._channel.receive()
            if self._is_too_much(message.method):
                self._left_out += 1
            else:
                self.put(v.Received(message))

    def _is_too_much(self, method: Method) -> bool:
        full = {name for name, queue in self._queues.items() if queue.is_full}
        return bool(full) and (method in _ADDING or (_OUTBOX in full and method not in _ENDING))

    async def _report(self, work: Coroutine[Any, Any, Input]) -> None:
        try:
            self.put(await work)
        except SinchphoneError as error:
            self._failed(_OUTBOX, error)


def _as_told(error: SinchphoneError) -> CallFailure:
    """What the peer learns of an error: nothing about this machine's files and devices."""
    ours = isinstance(error, AudioFileError | DeviceError)
    return CallFailure(getattr(error, "code", None), "there is no sound at the other end" if ours else str(error))


def _refusal_of(error: SinchphoneError) -> CallFailure:
    """Why a call wasn't placed, as the platform put it: its own number of the error, else HTTP's."""
    domain = NETWORK_DOMAIN if isinstance(error, NetworkError) else PLATFORM_DOMAIN
    code = _STATUSES.get(type(error))
    if isinstance(error, PlatformError):
        code = error.code if error.code is not None else error.status
    return CallFailure(code, str(error), domain)
