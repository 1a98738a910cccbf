"""The phone: registers a user, makes and takes calls, sends and takes messages.

::

    frames of our channels --> a transport's? --> messages
                               known call id? --> that call's channel
                               INVITE, user key --> a new incoming Call --> events()
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.invites import check_invite, domain_of, session_key
from sinchphone.engine.environment import Environment
from sinchphone.engine.event_log import EventLog
from sinchphone.engine.events import ClientEvent, ClientFailed, ClientWarning, IncomingCall, Ready
from sinchphone.engine.history import History, past_call
from sinchphone.engine.link import Link
from sinchphone.engine.listeners import Listener, Listeners, ListenerTasks
from sinchphone.engine.messages.messenger import Messenger
from sinchphone.engine.messages.recipients import Recipients, read_recipients
from sinchphone.engine.messages.sent import SentMessage
from sinchphone.errors import (
    AuthenticationError,
    ForbiddenError,
    LocalProtocolError,
    NetworkError,
    RemoteProtocolError,
    SinchphoneError,
    leaves,
)
from sinchphone.media.port import IceServer, PortOptions
from sinchphone.media.sound import Sound, SoundOptions
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.fragments import Reassembler, parse_fragment
from sinchphone.protocol.mxp import Client, Message, decrypt
from sinchphone.protocol.public_headers import check_public_headers, decode_public_headers
from sinchphone.protocol.room_name import MAX_ROOM_CHARACTERS
from sinchphone.signaling.channel import MxpChannel
from sinchphone.signaling.dialect import CallReport, CallRequest, Domain, Placement
from sinchphone.signaling.instances import FileInstanceStore, InstanceStore, MemoryInstanceStore
from sinchphone.signaling.wire import PUSH_CAPABILITY
from sinchphone.tasks import start_task

MAX_CALLS: Final = 32  # at the same time; further incoming ones are as if we weren't there
MAX_UNREAD_EVENTS: Final = 1024
MAX_RECENT_CALLS: Final = 256  # ids that an INVITE can't use again
CODECS: Final = ("opus",)
PHONE_CODECS: Final = ("opus", "PCMU")  # a phone that knows no Opus is then reached without anybody transcoding
REPORT_S: Final = 5.0
CLOSE_S: Final = 4.0  # for hanging up, reports and recordings
READY_S: Final = 15.0

SoundChoice: TypeAlias = SoundOptions | Sound | None

_log = logging.getLogger(__name__)


class SinchClient:
    """One user on one platform: ``async with SinchClient("ada", environment) as client``, or ``open`` and ``close``."""

    def __init__(
        self,
        user_id: str,
        environment: Environment,
        *,
        sound: Callable[[], SoundChoice] | None = None,
        media: MediaThread | None = None,
        state_dir: Path | None = None,
        relay_only: bool = False,
        history: History | None = None,
        takes_calls: bool = True,
    ) -> None:
        """``sound`` makes the sound of a call that is given none (default: silent, no devices); ``media`` shares a media thread;
        ``history``, opened and closed by the caller, keeps what was (default: nothing does); ``state_dir`` keeps
        the registered instance between runs (default: a new one each time). Without ``takes_calls`` nobody can call this client: it
        doesn't count as reachable, and says nothing where it is called all the same, so that the user's other devices ring."""
        store: InstanceStore = FileInstanceStore(state_dir) if state_dir else MemoryInstanceStore()
        self.user_id = user_id
        self._undecodable = 0
        self._environment = environment
        self._history = history
        self._make_sound = sound or (lambda: None)
        self._owns_media = media is None
        self.media = media or MediaThread()
        self._relay_only = relay_only
        self._takes_calls = takes_calls
        self._events = EventLog[ClientEvent](MAX_UNREAD_EVENTS)
        self._listening = ListenerTasks()
        self._listeners = Listeners[ClientEvent](self._listening)
        self._failure: SinchphoneError | None = None  # why it can't go on
        self._entered = False
        self._closing = False
        self._link = Link(environment, user_id, store, on_frame=self._take_frame, tell=self._tell, takes_calls=takes_calls)
        self._messenger = Messenger(self._link, user_id, tell=self._tell, history=history)
        self._opened = asyncio.Event()
        self._closed = asyncio.Event()
        self._channels: dict[str, MxpChannel] = {}
        self._calls: dict[str, tuple[Call, asyncio.Task[None]]] = {}  # in the order in which they began
        self._notes: deque[asyncio.Task[None]] = deque(maxlen=MAX_RECENT_CALLS)
        self._recent: deque[str] = deque(maxlen=MAX_RECENT_CALLS)
        self._placed: set[str] = set()  # calls that the platform took, until they are reported
        self._invites = Reassembler()

    async def __aenter__(self) -> Self:
        """``open``."""
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def open(self) -> None:
        """Register the user; calls and messages come from then on. Who opens it closes it; ``async with`` does both. Raises
        LocalProtocolError where it was opened before, and what the registration raises."""
        if self._entered:
            raise LocalProtocolError("a client is entered once", hint="Make another SinchClient to start again.")
        self._entered = True
        self.media.start()
        try:
            registration = await self._link.open()
            try:
                self._runner = start_task(self._run(), name=f"client {self.user_id}")
                await self._wait_until_ready()
            except BaseException:
                await self._hang_up_the_line()
                raise
        except BaseException:
            self._closing = True
            self._events.end()
            await self._close_media()
            self._closed.set()
            raise
        self._opened.set()
        self._tell(Ready(user_id=self.user_id, instance_id=registration.instance.id))

    async def close(self) -> None:
        """Hang up what calls there are and leave the platform. May be called more than once, inside ``async with`` too: each waits for the
        end. Does nothing before it is open."""
        if not self._opened.is_set():
            return
        if self._closing:
            await self._closed.wait()
            return
        self._closing = True
        try:
            await self._leave()
        finally:
            self._closed.set()

    async def _leave(self) -> None:
        await asyncio.sleep(0)  # a call that was just made begins, so that it can end
        tasks = [task for _, task in self._calls.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        await asyncio.gather(*self._notes)
        await self._messenger.close()
        await self._hang_up_the_line()
        await self._close_media()
        self._events.end()
        await self._listening.close(CLOSE_S)

    @property
    def instance_id(self) -> str:
        """The id of this device on the platform."""
        return self._link.registration.instance.id

    @property
    def undecodable(self) -> int:
        """How many frames on our channels made no sense."""
        return self._undecodable + self._messenger.undecodable

    @property
    def is_started(self) -> bool:
        """Whether it was opened and not closed yet."""
        return self._opened.is_set() and not self._closing

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that go on, from both sides, in the order in which they began."""
        return tuple(call for call, _ in self._calls.values() if call.state is not State.ENDED)

    def call(self, call_id: str) -> Call | None:
        """The call that goes on under that id; None where there is none, or it has ended."""
        return next((call for call in self.calls if call.id == call_id), None)

    def events(self) -> AsyncIterator[ClientEvent]:
        """What happens to this client; ends after ClientFailed and when the client is left. Any number of readers: each has every event
        in order from when it subscribed, the first from the start on; who leaves 1024 of them unread loses the oldest."""
        return self._events.read()

    def add_listener(self, listener: Listener[ClientEvent]) -> None:
        """Call ``listener`` with each event from now on; several in the order in which they were added. It doesn't block; an ``async def``
        may wait. What it raises is logged, and the others hear all the same."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Listener[ClientEvent]) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    async def call_user(self, user: str, *, headers: Mapping[str, str] | None = None, sound: SoundChoice = None) -> Call:
        """Call another user. Raises DeviceError and AudioFileError; what the platform refuses ends the call."""
        return await self._call(Domain.MXP, user, headers, sound, None)

    async def call_phone(
        self, number: str, *, caller_id: str | None = None, headers: Mapping[str, str] | None = None, sound: SoundChoice = None
    ) -> Call:
        """Call a phone number (E.164). Raises ForbiddenError without a caller id, from here or from the environment."""
        caller = caller_id or self._environment.caller_id
        if not caller:
            hint = "Give one with --caller-id +NUMBER, SINCHPHONE_CALLER_ID or caller_id in the configuration."
            raise ForbiddenError("calls to phone numbers need a caller id", hint=hint)
        return await self._call(Domain.PSTN, number, headers, sound, caller)

    async def call_sip(self, uri: str, *, headers: Mapping[str, str] | None = None, sound: SoundChoice = None) -> Call:
        """Call a SIP address, ``user@host[:port]``; ``sips:`` before it asks for TLS. The headers reach the SIP side, and their names
        begin with ``x-``. What the SIP side refuses ends the call with its code as the failure's, in the domain "sip". Raises
        LocalProtocolError, DeviceError and AudioFileError."""
        if odd := next((name for name in headers or {} if not name.lower().startswith("x-")), None):
            raise LocalProtocolError(f"a header of a SIP call begins with x-, not so {odd}")
        return await self._call(Domain.SIP, uri, headers, sound, None)

    async def call_conference(self, room: str, *, headers: Mapping[str, str] | None = None, sound: SoundChoice = None) -> Call:
        """Join a conference room of 1 to 64 characters. Raises LocalProtocolError, DeviceError and AudioFileError."""
        if not 0 < len(room) <= MAX_ROOM_CHARACTERS:
            raise LocalProtocolError(f"a room's name has 1 to {MAX_ROOM_CHARACTERS} characters")
        return await self._call(Domain.CONFERENCE, room, headers, sound, None)

    async def send_message(self, recipients: Recipients, text: str, *, headers: Mapping[str, str] | None = None) -> SentMessage:
        """Send an instant message; returns when the platform has it, ``receipts`` and ``settled`` of what it gives wait for more.

        One recipient or several: user ids, e-mail addresses or phone numbers of users, or the SDK's ``{"email": "ada@example.org"}``
        (``engine.messages.recipients``). Raises DestinationError for what is none, MessageError for what can't be sent (empty, longer than
        24 KiB in UTF-8, to oneself), NotFoundError where one of them is unknown (nobody gets it then), ForbiddenError where the
        platform has no messages, NetworkError and PlatformError where it failed for everybody.
        """
        self._check_started()
        return await self._messenger.send(read_recipients(recipients), text, headers or {})

    def _check_started(self) -> None:
        if not self.is_started:
            raise LocalProtocolError(
                "this client isn't started, or it was left already", hint="Use it inside its async with, or between open and close."
            )

    async def _call(self, domain: Domain, identity: str, headers: Mapping[str, str] | None, sound: SoundChoice, caller: str | None) -> Call:
        self._check_started()
        check_public_headers(headers or {}, "call")
        choice = self._choose(sound)
        chosen = self._sound(choice)
        await chosen.open()
        call_id = self._link.dialect.new_call_id()
        channel = self._channel(call_id)
        request = partial(CallRequest, call_id, domain, identity, caller_id=caller, headers=dict(headers or {}))
        call = Call(
            CallMachine(self._me(caller)),
            call_id=call_id,
            peer=identity,
            domain=domain,
            channel=channel,
            ports=self.media.ports,
            port_options=self._port_options(choice, CODECS if domain is Domain.MXP else PHONE_CODECS),
            sound=chosen,
            headers=headers,
            place=lambda offer: self._place(channel, request(offer=offer)),
            monitored=True,
            renew_line=self._link.renew,
            listening=self._listening,
        )
        self._start(call)
        return call

    async def _place(self, channel: MxpChannel, request: CallRequest) -> v.Placed:
        placement = await self._ask_to_place(request)
        self._placed.add(request.call_id)
        pushed = any(PUSH_CAPABILITY in instance.capabilities for instance in placement.instances) and await self._push(request, placement)
        channel.configure(placement.session_key)  # what came meanwhile is read now: not before the call knows that it is placed
        return v.Placed(placement.signal_channel, len(placement.instances) or None, pushed)

    async def _push(self, request: CallRequest, placement: Placement) -> bool:
        """Wake devices that sleep. Whether that could be asked for; the call goes on without."""
        try:
            await self._link.dialect.send_push(request.call_id, placement.instances, self.user_id)
        except SinchphoneError as error:
            self._tell(ClientWarning(message=f"sleeping devices of {request.identity} could not be woken: {error}", hint=error.hint))
            return False
        return True

    async def _ask_to_place(self, request: CallRequest) -> Placement:
        try:
            return await self._link.dialect.place_call(request)
        except AuthenticationError:  # a platform that has forgotten us since: once more, known again
            await self._link.confirm()
            return await self._link.dialect.place_call(request)

    # Incoming

    def _take_frame(self, payload: object) -> None:
        """One pub/sub payload. Whatever it is, it harms nobody."""
        try:
            fragment = parse_fragment(payload)
            if fragment.transport_id is not None:
                self._messenger.feed(fragment, self._now())
                return
            channel = self._channels.get(fragment.session_id)
            if channel is not None:
                channel.feed(fragment)
                return
            text = self._invites.push(fragment, self._now())
            if text is not None and fragment.session_id not in self._recent:
                self._take_invite(fragment.session_id, decrypt(text, self._link.registration.profile.key))
        except RemoteProtocolError:
            self._undecodable += 1

    def _take_invite(self, call_id: str, message: Message) -> None:
        check_invite(message, self._link.registration.address)
        if not self._takes_calls:
            return
        if self._closing or len(self._calls) >= MAX_CALLS:
            raise RemoteProtocolError("a call that can't be taken any more")
        key, choice, caller = session_key(message), self._choose(None), message.sender
        channel = self._channel(call_id)
        channel.configure(key)
        call = Call(
            CallMachine(self._me(None), invite=message),
            call_id=call_id,
            peer=caller.user_id or caller.caller_id,
            domain=domain_of(message),
            channel=channel,
            ports=self.media.ports,
            port_options=self._port_options(choice, PHONE_CODECS),
            sound=self._sound(choice),
            headers=decode_public_headers(message.headers),
            monitored=True,
            renew_line=self._link.renew,
            listening=self._listening,
        )
        self._start(call)
        self._tell(IncomingCall(call=call))

    # Common

    def _start(self, call: Call) -> None:
        self._recent.append(call.id)
        task = start_task(self._drive(call), name=f"call {call.id}")
        self._calls[call.id] = call, task
        task.add_done_callback(partial(self._forget, call))

    def _forget(self, call: Call, task: asyncio.Task[None]) -> None:
        self._calls.pop(call.id, None)
        if not task.cancelled() and (bug := task.exception()) is not None:
            _log.error("call %s ended by a bug in sinchphone", call.id, exc_info=bug)
            self._tell(
                ClientWarning(message="a bug in sinchphone ended the call", hint="Run it again with --debug and report what it prints.")
            )

    async def _drive(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            self._channels.pop(call.id, None)
            self._notes.append(start_task(self._note(call), name=f"note {call.id}"))  # cancelling the call doesn't lose it
            await self._report(call)

    async def _note(self, call: Call) -> None:
        if self._history is None:
            return
        await self._history.note_call(self._link.registration.instance.device_id, past_call(call))

    async def _report(self, call: Call) -> None:
        details = call.details
        if call.outbound and call.id not in self._placed:
            return
        self._placed.discard(call.id)
        report = CallReport(
            call_id=call.id,
            outbound=call.outbound,
            peer=call.peer,
            domain=call.domain,
            cause=str(details.cause or Cause.FAILURE),
            started_at=details.started_at,
            ringing_at=details.ringing_at,
            answered_at=details.answered_at,
            established_at=details.established_at,
            ended_at=details.ended_at or time.time(),
            error=details.failure.message if details.failure else None,
        )
        try:
            async with asyncio.timeout(REPORT_S):
                await self._link.dialect.report_call(report)
        except (SinchphoneError, TimeoutError) as error:
            _log.info("the report of call %s was not delivered: %s", call.id, type(error).__name__)

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._link.run(), name="link")
                group.create_task(self._read_messages(), name="messages")
        except* SinchphoneError as group:
            error = next(e for e in leaves(group) if isinstance(e, SinchphoneError))
            self._tell(ClientFailed(error=error))
        except* Exception as group:  # noqa: BLE001 - whoever waits for events must learn that there will be none
            _log.error("a bug in sinchphone ended the line", exc_info=group)
            self._tell(ClientFailed(error=SinchphoneError("a bug in sinchphone ended the line", hint="Run it again with --debug.")))

    async def _read_messages(self) -> None:
        """What waited for us at the platform is told after Ready."""
        await self._opened.wait()
        await self._messenger.run()

    async def _wait_until_ready(self) -> None:
        """Both subscriptions stand; a call that comes from now on is not missed."""
        ready = start_task(self._link.ready.wait(), name="link ready")
        try:
            await asyncio.wait({ready, self._runner}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return
        finally:
            ready.cancel()
        why = f": {self._link.interrupted_by}" if self._link.interrupted_by else ""
        raise self._failure or NetworkError(
            f"the platform's pub/sub network can't be reached{why}", hint="Check the network; try sinchphone with -v."
        )

    async def _hang_up_the_line(self) -> None:
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)
        await self._link.close()

    def _tell(self, event: ClientEvent) -> None:
        """For whoever reads ``events``, and for the listeners."""
        self._events.put(event)
        if isinstance(event, ClientFailed):
            self._failure = event.error
            self._events.end()
        self._listeners.tell(event)

    async def _close_media(self) -> None:
        if self._owns_media:
            await asyncio.to_thread(self.media.stop)

    def _channel(self, call_id: str) -> MxpChannel:
        channel = self._channels[call_id] = MxpChannel(call_id, self._link.publish, now=self._now, randbytes=os.urandom)
        return channel

    def _me(self, caller_id: str | None) -> Client:
        registration = self._link.registration
        return Client(
            self.user_id, registration.address, registration.profile.signal_channel, device="sinchphone", caller_id=caller_id or ""
        )

    def _choose(self, choice: SoundChoice) -> SoundOptions | Sound:
        return choice or self._make_sound() or SoundOptions(devices=False)

    def _port_options(self, choice: SoundOptions | Sound, codecs: tuple[str, ...]) -> PortOptions:
        registration = self._link.registration
        servers = (IceServer(urls=registration.stun_urls),) if registration.stun_urls else ()
        relay_only = self._relay_only or registration.relay_only
        most = choice.max_kbps if isinstance(choice, SoundOptions) else None
        return PortOptions(ice_servers=servers, relay_only=relay_only, loopback=self._environment.loopback, max_kbps=most, codecs=codecs)

    def _sound(self, choice: SoundOptions | Sound) -> Sound:
        from sinchphone.media.local_audio.local_audio import LocalAudio

        return LocalAudio(choice, self.media) if isinstance(choice, SoundOptions) else choice

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
