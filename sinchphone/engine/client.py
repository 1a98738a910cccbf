"""The phone: registers a user, makes and takes calls, sends and takes messages.

::

    frames of our channels --> a transport's? --> Messenger
                               a call's? ------> ActiveCalls --> events()
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sinchphone.engine.active_calls import CLOSE_S, ActiveCalls
from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.media.audio import SoundChoice
from sinchphone.engine.capabilities import Capabilities
from sinchphone.engine.environment import Environment, verification_url_of
from sinchphone.engine.events.event_log import EventLog
from sinchphone.engine.events.events import ClientEvent, ClientFailed, IncomingCall, Ready
from sinchphone.engine.events.listeners import Listener, Listeners, ListenerTasks
from sinchphone.engine.group_call import GroupCall
from sinchphone.engine.history.history import History
from sinchphone.engine.link import Link
from sinchphone.engine.managed_push import ManagedPush, PushResult
from sinchphone.engine.messages.messenger import Messenger
from sinchphone.engine.messages.recipients import Recipients, read_recipients
from sinchphone.engine.messages.sent import SentMessage
from sinchphone.errors import (
    ConfigError,
    ForbiddenError,
    LocalProtocolError,
    NetworkError,
    RemoteProtocolError,
    SinchphoneError,
    leaves,
)
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.pictures.pictures import VideoChoice
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.mxp.fragments import parse_fragment
from sinchphone.protocol.names import ROOM_RULE, is_room_length
from sinchphone.protocol.phone_numbers import read_number
from sinchphone.protocol.webpush.keys import write_base64
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.dialect import Domain, Instance
from sinchphone.signaling.push.inbox import PushCounts
from sinchphone.signaling.rest.instances import FileInstanceStore, InstanceStore, MemoryInstanceStore, StoredInstance
from sinchphone.signaling.services.verification import VerificationClient
from sinchphone.tasks import cancel_all, close_in_turn, start_task

MAX_UNREAD_EVENTS: Final = 1024
READY_S: Final = 15.0

_log = logging.getLogger(__name__)


class SinchClient:
    """One user on one platform: ``async with SinchClient("ada", environment) as client``, or ``open`` and ``close``."""

    def __init__(
        self,
        user_id: str,
        environment: Environment,
        *,
        sound: Callable[[], SoundChoice | None] | None = None,
        video: Callable[[], VideoChoice | None] | None = None,
        media: MediaThread | None = None,
        state_dir: Path | None = None,
        session: Instance | None = None,
        relay_only: bool = False,
        ice_servers: tuple[IceServer, ...] = (),
        history: History | None = None,
        takes_calls: bool = True,
        display_name: str | None = None,
        capabilities: Capabilities | None = None,
    ) -> None:
        """``sound`` makes the sound of a call that is given none (default: silent, no devices); ``video`` makes the pictures of an incoming
        call that offers any (default: they are refused, and the call has sound alone); a call for which one fails isn't taken
        (ClientWarning); ``media`` shares a media thread; ``history``, opened and closed by the caller, keeps what was; ``state_dir`` keeps
        the registered instance between runs (default: a new one each time); ``session`` is one of before (``client.session``), taken up
        without a proof as long as the platform knows it (else a new one is registered); ``ice_servers`` are asked beside the platform's,
        and with ``relay_only`` calls go through TURN servers alone. Without ``takes_calls`` nobody can call this client: it doesn't count
        as reachable, and says nothing where it is called all the same, so that the user's other devices ring. Pushes for our calls show the
        ``display_name`` (default: the user id). ``capabilities``: what it is for (default: all of it)."""
        can = self._capabilities = capabilities or Capabilities()
        called, store = takes_calls and can.calling, _store_of(user_id, state_dir, session)
        self.user_id = user_id
        self._undecodable = 0
        self._environment = environment
        self._owns_media = media is None
        self.media = media or MediaThread()
        self._events = EventLog[ClientEvent](MAX_UNREAD_EVENTS)
        self._listening = ListenerTasks()
        self._listeners = Listeners[ClientEvent](self._listening)
        self._failure: SinchphoneError | None = None  # why it can't go on
        self._entered = False
        self._closing = False
        self._link = Link(environment, user_id, store, on_frame=self._take_frame, tell=self._tell, takes_calls=called, capabilities=can)
        self._messenger = Messenger(self._link, user_id, tell=self._tell, history=history)
        self._group: GroupCall | None = None
        self._push = ManagedPush(self._link, busy=lambda: bool(self._calls.all), tell=self._tell)
        self._opened, self._closed = asyncio.Event(), asyncio.Event()
        self._settled = asyncio.Event()  # it was opened, or couldn't be
        self._calls = ActiveCalls(
            self._link,
            user_id,
            environment,
            self.media,
            sound=sound or (lambda: None),
            video=video or (lambda: None),
            relay_only=relay_only,
            ice_servers=ice_servers,
            takes_calls=called,
            capabilities=can,
            display_name=display_name,
            history=history,
            tell=self._tell,
            listening=self._listening,
        )

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
            raise LocalProtocolError("a client is entered once", hint="make another SinchClient to start again")
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
        finally:
            self._settled.set()
        self._opened.set()
        self._tell(Ready(user_id=self.user_id, instance_id=registration.instance.id))

    async def close(self) -> None:
        """Hang up what calls there are and leave the platform. May be called more than once, inside ``async with`` too: each waits for the
        end. Does nothing before it is open. Where it's cancelled, what it waits for at that moment is cut short, and it leaves all the
        same."""
        if not self._opened.is_set():
            return
        if self._closing:
            await self._closed.wait()
            return
        self._closing = True
        try:
            await close_in_turn(
                self._push.close,
                *([self._group.leave] if self._group is not None else []),
                self._calls.close,
                self._messenger.close,
                self._hang_up_the_line,
                self._close_media,
                self._end_events,
            )
        finally:
            self._closed.set()

    async def _end_events(self) -> None:
        self._events.end()
        await self._listening.close(CLOSE_S)

    @property
    def instance_id(self) -> str:
        """The id of this device on the platform."""
        return self._link.registration.instance.id

    @property
    def session(self) -> Instance:
        """This device as it is registered: what resumes it in another program (``SinchClient(session=)``). Its secret signs its requests:
        keep it like a password."""
        return self._link.registration.instance

    @property
    def verification(self) -> VerificationClient:
        """Verifies phone numbers for this application; the client need not be started for that."""
        environment = self._environment

        async def base_url() -> str:
            return verification_url_of(await environment.open())

        return VerificationClient(environment.application_key, base_url, ca_file=environment.ca_file)

    async def change_password(self, old: str | None, new: str) -> None:
        """Another password for this user (``api="papi"``). Raises AuthenticationError for a wrong ``old`` one, ForbiddenError where users
        have no passwords, PlatformError for one that isn't taken, NetworkError."""
        self._check_started()
        await self._link.dialect.change_password(old, new)

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
        return self._calls.all

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

    async def call_user(
        self, user: str, *, headers: Mapping[str, str] | None = None, sound: SoundChoice | None = None, video: VideoChoice | None = None
    ) -> Call:
        """Call another user, with pictures where ``video`` says which: a camera that runs from the answer on, a file, a test picture.
        Raises DeviceError and AudioFileError; what the platform refuses ends the call."""
        await self._get_ready()
        return await self._calls.place(Domain.MXP, user, headers, sound, video=video)

    async def call_phone(
        self, number: str, *, caller_id: str | None = None, headers: Mapping[str, str] | None = None, sound: SoundChoice | None = None
    ) -> Call:
        """Call a phone number, ``+E164`` or as people write it. Raises DestinationError where it is none, or calls for help, and
        ForbiddenError without a caller id, from here or from the environment."""
        number = read_number(number)
        caller = caller_id or self._environment.caller_id
        if not caller:
            hint = "give one with --caller-id +NUMBER, SINCHPHONE_CALLER_ID or caller_id in the configuration"
            raise ForbiddenError("calls to phone numbers need a caller id", hint=hint)
        await self._get_ready()
        return await self._calls.place(Domain.PSTN, number, headers, sound, caller)

    async def call_sip(
        self,
        uri: str,
        *,
        headers: Mapping[str, str] | None = None,
        sound: SoundChoice | None = None,
        video: VideoChoice | None = None,
    ) -> Call:
        """Call a SIP address, ``user@host[:port]``; ``sips:`` before it asks for TLS. The headers reach the SIP side, and their names begin
        with ``x-``. ``video`` is offered, as in ``call_user``; phones over SIP get none. What the SIP side refuses ends the call with its
        code as the failure's, in the domain "sip". Raises LocalProtocolError, DeviceError and AudioFileError."""
        if odd := next((name for name in headers or {} if not name.lower().startswith("x-")), None):
            raise LocalProtocolError(f"a header of a SIP call begins with x-, not so {odd}")
        await self._get_ready()
        return await self._calls.place(Domain.SIP, uri, headers, sound, video=video)

    async def call_conference(self, room: str, *, headers: Mapping[str, str] | None = None, sound: SoundChoice | None = None) -> Call:
        """Join a conference room of 1 to 64 characters. Raises LocalProtocolError, DeviceError and AudioFileError."""
        if not is_room_length(room):
            raise LocalProtocolError(ROOM_RULE)
        await self._get_ready()
        return await self._calls.place(Domain.CONFERENCE, room, headers, sound)

    async def ice_servers(self) -> tuple[IceServer, ...]:
        """The STUN and TURN servers that a call would have now: given ones and the platform's. Raises LocalProtocolError, NetworkError,
        AuthenticationError, PlatformError, and NotFoundError where the platform knows nothing of such servers."""
        self._check_started()
        return await self._calls.ice_servers()

    async def call_group(self, name: str) -> GroupCall:
        """Be in a group, in which everybody calls everybody else; ``events`` of what it gives tell who comes and goes. Calls from the
        others are answered, with the client's own sound, and not told as IncomingCall. One group at a time. Raises LocalProtocolError for
        a name that can't be one and where a group wasn't left, NetworkError, ForbiddenError, PlatformError."""
        await self._get_ready()
        if self._group is not None and not self._group.is_over:
            raise LocalProtocolError(f"this client is in a group: {self._group.name}", hint="leave it first")
        self._group = GroupCall(name, self.user_id, self._link, lambda user: self._calls.place(Domain.MXP, user, None, None))
        await self._group.join()
        return self._group

    async def send_message(self, recipients: Recipients, text: str, *, headers: Mapping[str, str] | None = None) -> SentMessage:
        """Send an instant message; returns when the platform has it, ``receipts`` and ``settled`` of what it gives wait for more.

        One recipient or several: user ids, e-mail addresses or phone numbers of users, or the SDK's ``{"email": "ada@example.org"}``
        (``engine.messages.recipients``). Raises DestinationError for what is none, MessageError for what can't be sent (empty, longer than
        24 KiB in UTF-8, to oneself), NotFoundError where one of them is unknown (nobody gets it then), ForbiddenError where the
        platform has no messages, NetworkError and PlatformError where it failed for everybody.
        """
        self._capabilities.check_message()
        await self._get_ready()
        return await self._messenger.send(read_recipients(recipients), text, headers or {})

    async def set_support_managed_push(
        self, subscription: PushSubscription | None = None, *, service: str | None = None, sleep_after: float | None = None
    ) -> None:
        """Have the platform wake this device with pushes (W3C) where it doesn't listen.

        Without a ``subscription`` this client is the user agent itself, at the push service that the platform proposes or at ``service``
        (a WebSocket's URL, autopush's protocol); with one that an app has elsewhere, the app hands what is pushed to
        ``relay_push_notification``. After ``sleep_after`` seconds without a call the client lets go of its subscriptions until a push
        comes: messages wait then too. Raises ForbiddenError where the platform doesn't push, NetworkError, PlatformError,
        LocalProtocolError where it's on already.
        """
        self._check_started()
        await self._push.start(subscription, service, sleep_after)

    async def relay_push_notification(self, payload: Mapping[str, Any] | bytes) -> PushResult:
        """What was pushed to an app (its content, or its members): opens the client where it isn't, and wakes it, so that IncomingCall
        follows. What comes too late, again, or makes no sense is counted (``push_counts``) and nothing else."""
        if not self._entered:
            await self.open()
        await self._settled.wait()
        self._check_started()
        return self._push.relay(payload)

    @property
    def application_server_key(self) -> str | None:
        """The key that W3C subscriptions for this platform's pushes are made with (base64url); None where it doesn't push."""
        push = self._link.registration.push
        return None if push is None else write_base64(push.key)

    @property
    def push_counts(self) -> PushCounts:
        """What became of the pushes that came so far."""
        return self._push.counts

    async def _get_ready(self) -> None:
        """Raises LocalProtocolError where it isn't started; one that sleeps wakes up, since answers are to come."""
        self._check_started()
        if self._link.is_asleep:
            self._push.wake()
            await self._wait_until_ready()

    def _check_started(self) -> None:
        if not self.is_started:
            raise LocalProtocolError(
                "this client isn't started, or it was left already", hint="use it inside its async with, or between open and close"
            )

    def _take_frame(self, payload: object) -> None:
        """One pub/sub payload. Whatever it is, it harms nobody."""
        try:
            fragment = parse_fragment(payload)
            if fragment.transport_id is not None and not self._capabilities.messaging:
                return
            if fragment.transport_id is not None:
                self._messenger.feed(fragment, self._now())
            else:
                self._calls.feed(fragment, self._now())
        except RemoteProtocolError:
            self._undecodable += 1

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
            self._tell(ClientFailed(error=SinchphoneError("a bug in sinchphone ended the line", hint="run it again with --debug")))

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
            f"the platform's pub/sub network can't be reached{why}", hint="check the network; try sinchphone with -v"
        )

    async def _hang_up_the_line(self) -> None:
        await close_in_turn(partial(cancel_all, [self._runner]), self._link.close)

    def _tell(self, event: ClientEvent) -> None:
        """For whoever reads ``events``, and for the listeners."""
        if isinstance(event, IncomingCall):
            self._push.settle()
            if self._group is not None and self._group.takes(event.call):
                return
        self._events.put(event)
        if isinstance(event, ClientFailed):
            self._failure = event.error
            self._events.end()
        self._listeners.tell(event)

    async def _close_media(self) -> None:
        if self._owns_media:
            await asyncio.to_thread(self.media.stop)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _store_of(user_id: str, state_dir: Path | None, session: Instance | None) -> InstanceStore:
    if session is not None and (state_dir is not None or session.user_id != user_id):
        raise ConfigError("a session is resumed by its own user, and not beside a state folder")
    if state_dir is not None:
        return FileInstanceStore(state_dir)
    return MemoryInstanceStore(StoredInstance(session, time.time()) if session is not None else None)
