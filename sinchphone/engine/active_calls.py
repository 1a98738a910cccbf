"""The calls of one client: made and taken, driven, found by their ids, told to the history and to the platform when they are over.

::

    place(domain, identity) -> a new Call -> the platform
    frames: known call id? --> that call's channel
            INVITE, user key --> a new incoming Call --> tell(IncomingCall)
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sinchphone.engine.calls.call import Call, Follow
from sinchphone.engine.calls.invites import check_invite, domain_of, offers_video, session_key
from sinchphone.engine.calls.media.audio import SoundChoice
from sinchphone.engine.calls.media.servers import CallServers
from sinchphone.engine.calls.participant import CallParticipant, called, caller_of
from sinchphone.engine.calls.unheard import Unheard
from sinchphone.engine.capabilities import Capabilities
from sinchphone.engine.environment import Environment
from sinchphone.engine.events.events import ClientEvent, ClientWarning, IncomingCall
from sinchphone.engine.events.listeners import ListenerTasks
from sinchphone.engine.history.history import History, past_call
from sinchphone.engine.link import Link
from sinchphone.engine.transfers import NO_SUCH_CALL, Transfers
from sinchphone.errors import AuthenticationError, LocalProtocolError, RemoteProtocolError, SinchphoneError
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.pictures.pictures import CODECS as PICTURE_CODECS
from sinchphone.media.pictures.pictures import PictureOptions, Pictures, VideoChoice
from sinchphone.media.port import PortOptions
from sinchphone.media.sound import Sound, SoundOptions
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.call.transfer_events import REPLACES_HEADER
from sinchphone.protocol.mxp.fragments import Fragment, Reassembler
from sinchphone.protocol.mxp.message import Client, Message, decrypt
from sinchphone.protocol.mxp.public_headers import check_public_headers, decode_public_headers
from sinchphone.signaling.channel import MxpChannel
from sinchphone.signaling.dialect import CallReport, CallRequest, Domain, Placement
from sinchphone.signaling.wire import PUSH_CAPABILITY
from sinchphone.tasks import close_in_turn, start_task

MAX_CALLS: Final = 32  # at the same time; further incoming ones are as if we weren't there
MAX_RECENT_CALLS: Final = 256  # ids that an INVITE can't use again
CODECS: Final = ("opus",)
PHONE_CODECS: Final = ("opus", "PCMU")  # a phone that knows no Opus is then reached without anybody transcoding
REPORT_S: Final = 5.0
CLOSE_S: Final = 4.0  # for hanging up, reports and recordings

_log = logging.getLogger(__name__)


class ActiveCalls:
    """What goes on between the line's registration and ``close``. For the loop's thread."""

    def __init__(
        self,
        link: Link,
        user_id: str,
        environment: Environment,
        media: MediaThread,
        *,
        sound: Callable[[], SoundChoice | None],
        video: Callable[[], VideoChoice | None],
        relay_only: bool,
        ice_servers: tuple[IceServer, ...],
        takes_calls: bool,
        capabilities: Capabilities,
        display_name: str | None,
        history: History | None,
        tell: Callable[[ClientEvent], None],
        listening: ListenerTasks,
    ) -> None:
        """As ``SinchClient``; ``tell`` gets incoming calls and warnings, ``listening`` has what the calls' listeners do."""
        self._link = link
        self._user_id = user_id
        self._environment = environment
        self._media = media
        self._make_sound = sound
        self._make_video = video
        self._relay_only = relay_only
        self._ice_servers = ice_servers
        self._warned_of_servers = False
        self._takes_calls = takes_calls
        self._capabilities = capabilities
        self._display_name = display_name
        self._history = history
        self._tell = tell
        self._listening = listening
        self._closing = False
        self._channels: dict[str, MxpChannel] = {}
        self._calls: dict[str, tuple[Call, asyncio.Task[None]]] = {}  # in the order in which they began
        self._notes: deque[asyncio.Task[None]] = deque(maxlen=MAX_RECENT_CALLS)
        self._recent: deque[str] = deque(maxlen=MAX_RECENT_CALLS)
        self._transfers = Transfers(self._place_unheard, lambda: self.all)
        self._unheard: set[str] = set()  # calls that have the place of others' peers, or are to have it
        self._placed: set[str] = set()  # calls that the platform took, until they are reported
        self._invites = Reassembler()

    @property
    def all(self) -> tuple[Call, ...]:
        """Those that go on, from both sides, in the order in which they began."""
        there = tuple(call for call, _ in self._calls.values() if call.state is not State.ENDED)
        return tuple(call for call in there if call.id not in self._unheard)

    async def close(self) -> None:
        """Hang up; wait for reports and recordings as long as CLOSE_S. No call comes any more."""
        self._closing = True
        await close_in_turn(partial(asyncio.sleep, 0), self._transfers.close, self._end_calls)  # one that was just made begins, and can end

    async def _end_calls(self) -> None:
        tasks = [task for _, task in self._calls.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        await asyncio.gather(*self._notes)

    # Outgoing

    async def place(
        self,
        domain: Domain,
        identity: str,
        headers: Mapping[str, str] | None,
        sound: SoundChoice | None,
        caller: str | None = None,
        *,
        video: VideoChoice | None = None,
    ) -> Call:
        """Begin a call; ``caller`` is the number shown. Raises LocalProtocolError for headers that can't be sent, and once the client is
        left; DeviceError and AudioFileError; what the platform refuses ends the call. Where it raises, sound and pictures are closed."""
        self._capabilities.check_call(video=video is not None, others=bool(self.all))
        check_public_headers(headers or {}, "call")
        choice, call_id = self._choose(sound), self._link.dialect.new_call_id()
        chosen, pictures = self._sound(choice, call_id), _pictures(video, call_id)
        try:
            if pictures is not None:
                await pictures.open()
            await chosen.open()
            if self._closing:
                raise LocalProtocolError("the client was left before its call was placed")
            self._capabilities.check_call(video=video is not None, others=bool(self.all))  # others may have come meanwhile
            return self._place_call(call_id, domain, identity, headers, choice, chosen, pictures, caller)
        except BaseException:
            await chosen.close()
            if pictures is not None:
                await pictures.close()
            raise

    async def _place_unheard(self, domain: Domain, identity: str, headers: Mapping[str, str], instead: Call) -> Call:
        """A call that is to have the place of another one's peer."""
        unheard, call_id = Unheard(), self._link.dialect.new_call_id()
        return self._place_call(call_id, domain, identity, headers, unheard, unheard, None, instead=instead)

    def _place_call(
        self,
        call_id: str,
        domain: Domain,
        identity: str,
        headers: Mapping[str, str] | None,
        choice: SoundChoice,
        sound: Sound,
        pictures: Pictures | None,
        caller: str | None = None,
        *,
        instead: Call | None = None,
    ) -> Call:
        servers = self._call_servers()
        channel = self._channel(call_id)
        request = partial(CallRequest, call_id, domain, identity, caller_id=caller, headers=dict(headers or {}))
        call = Call(
            CallMachine(self._me(caller)),
            call_id=call_id,
            peer=identity,
            domain=domain,
            channel=channel,
            ports=self._media.ports,
            port_options=self._port_options(choice, servers, CODECS if domain is Domain.MXP else PHONE_CODECS, seen=pictures is not None),
            sound=sound,
            pictures=pictures,
            headers=headers,
            participants=(self._us(caller, headers or {}), called(domain, identity)),
            place=lambda offer: self._place(channel, request(offer=offer)),
            monitored=instead is None,
            renew_line=partial(self._renew_path, servers),
            listening=self._listening,
            follow=self._following(instead),
        )
        self._start(call, channel, servers, instead)
        return call

    def _following(self, instead: Call | None) -> Follow:
        """What goes where a call's peer sends us: that call does, or the one whose peer's place it has."""
        return lambda call, wish: self._transfers.follow(instead or call, wish)

    async def _place(self, channel: MxpChannel, request: CallRequest) -> v.Placed:
        placement = await self._ask_to_place(request)
        self._placed.add(request.call_id)
        pushed = any(PUSH_CAPABILITY in instance.capabilities for instance in placement.instances) and await self._push(request, placement)
        channel.configure(placement.session_key)  # what came meanwhile is read now: not before the call knows that it is placed
        return v.Placed(placement.signal_channel, len(placement.instances) or None, pushed)

    async def _push(self, request: CallRequest, placement: Placement) -> bool:
        """Wake devices that sleep. Whether that could be asked for; the call goes on without."""
        try:
            await self._link.dialect.send_push(request.call_id, placement.instances, self._display_name or self._user_id)
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

    def feed(self, fragment: Fragment, now: float) -> None:
        """Part of a call's message, or of an INVITE. Raises RemoteProtocolError where it makes no sense."""
        channel = self._channels.get(fragment.session_id)
        if channel is not None:
            channel.feed(fragment)
            return
        text = self._invites.push(fragment, now)
        if text is not None and fragment.session_id not in self._recent:
            self._take_invite(fragment.session_id, decrypt(text, self._link.registration.profile.key))

    def _take_invite(self, call_id: str, message: Message) -> None:
        check_invite(message, self._link.registration.address)
        headers = decode_public_headers(message.headers)
        replaces = REPLACES_HEADER in headers
        if not self._takes_calls and not replaces:
            return
        if self._closing or len(self._calls) >= MAX_CALLS:
            raise RemoteProtocolError("a call that can't be taken any more")
        instead = self._transfers.replaced(headers)
        key, caller, servers, domain = session_key(message), message.sender, self._call_servers(), domain_of(message)
        offered = offers_video(message) and not replaces
        unheard = Unheard()
        made = (unheard, unheard, None) if replaces else self._made_by_program(call_id, with_pictures=offered)
        if made is None:
            return
        choice, sound, pictures = made
        channel = self._channel(call_id)
        channel.configure(key)
        second = bool(self.all) and not self._capabilities.multi_call
        call = Call(
            CallMachine(self._me(None), invite=message),
            call_id=call_id,
            peer=caller.user_id or caller.caller_id,
            domain=domain,
            channel=channel,
            ports=self._media.ports,
            port_options=self._port_options(choice, servers, PHONE_CODECS, seen=pictures is not None),
            sound=sound,
            pictures=pictures,
            headers=headers,
            participants=(self._us(None, {}), caller_of(message, domain, headers)),
            monitored=not replaces,
            renew_line=partial(self._renew_path, servers),
            listening=self._listening,
            make_sound=partial(self._sound, call_id=call_id),
            follow=self._following(instead),
        )
        call.video_offered = offered
        self._start(call, channel, servers, instead or (call if replaces else None))
        if instead is not None:
            self._transfers.take(instead, call)
        elif replaces:
            self._notes.append(start_task(call.hang_up(NO_SUCH_CALL), name=f"refuse {call.id}"))
        elif second:
            self._notes.append(start_task(call.decline(busy=True), name=f"busy {call.id}"))
        else:
            self._tell(IncomingCall(call=call))

    def _made_by_program(self, call_id: str, *, with_pictures: bool) -> tuple[SoundChoice, Sound, Pictures | None] | None:
        """Sound and pictures for a call that comes; ``None`` where the program's own functions fail, or what they want can't be."""
        try:
            choice = self._choose(None)
            return (
                choice,
                self._sound(choice, call_id),
                _pictures(self._make_video(), call_id) if with_pictures and self._capabilities.video else None,
            )
        except Exception as error:  # noqa: BLE001 - it's another's code, and the next call may be another matter
            _log.error("the program's sound or video for a call failed", exc_info=error)
            self._tell(ClientWarning(message=f"a call wasn't taken: its sound or video failed: {str(error) or type(error).__name__}"))
            return None

    # Both

    def _start(self, call: Call, channel: MxpChannel, servers: CallServers, instead: Call | None = None) -> None:
        self._channels[call.id] = channel
        self._recent.append(call.id)
        if instead is not None:
            self._unheard.add(call.id)
        task = start_task(self._drive(call, servers), name=f"call {call.id}")
        self._calls[call.id] = call, task
        task.add_done_callback(partial(self._forget, call))

    def _forget(self, call: Call, task: asyncio.Task[None]) -> None:
        self._calls.pop(call.id, None)
        self._unheard.discard(call.id)
        if not task.cancelled() and (bug := task.exception()) is not None:
            _log.error("call %s ended by a bug in sinchphone", call.id, exc_info=bug)
            self._tell(
                ClientWarning(message="a bug in sinchphone ended the call", hint="run it again with --debug and report what it prints")
            )

    async def _drive(self, call: Call, servers: CallServers) -> None:
        asking = start_task(servers.run(), name=f"ICE servers {call.id}")
        try:
            await call.run()
        finally:
            asking.cancel()
            self._channels.pop(call.id, None)
            self._notes.append(start_task(self._note(call), name=f"note {call.id}"))  # cancelling the call doesn't lose it
            await self._report(call)

    async def _note(self, call: Call) -> None:
        if self._history is None or (call.id in self._unheard and not call.outbound):
            return
        await self._history.note_call(self._link.registration.instance.device_id, past_call(call))

    async def _report(self, call: Call) -> None:
        if call.outbound and call.id not in self._placed:
            return
        self._placed.discard(call.id)
        try:
            async with asyncio.timeout(REPORT_S):
                await self._link.dialect.report_call(_report_of(call))
        except (SinchphoneError, TimeoutError) as error:
            _log.info("the report of call %s was not delivered: %s", call.id, type(error).__name__)

    def _channel(self, call_id: str) -> MxpChannel:
        return MxpChannel(call_id, self._link.publish, now=asyncio.get_running_loop().time, randbytes=os.urandom)

    def _me(self, caller_id: str | None) -> Client:
        registration = self._link.registration
        return Client(
            self._user_id, registration.address, registration.profile.signal_channel, device="sinchphone", caller_id=caller_id or ""
        )

    def _us(self, number: str | None, headers: Mapping[str, str]) -> CallParticipant:
        return CallParticipant(
            domain=Domain.MXP, user_id=self._user_id, number=number, display_name=self._display_name, headers=dict(headers)
        )

    def _choose(self, choice: SoundChoice | None) -> SoundChoice:
        return choice or self._make_sound() or SoundOptions(devices=False)

    async def ice_servers(self) -> tuple[IceServer, ...]:
        """Those that a call would have now. Raises what the platform's answer raises."""
        offered = await self._link.dialect.ice_servers()
        return (*self._known_servers, *(IceServer(urls=one.urls, username=one.username, credential=one.password) for one in offered))

    @property
    def _known_servers(self) -> tuple[IceServer, ...]:
        stun = self._link.registration.stun_urls
        return (*self._ice_servers, *((IceServer(urls=stun),) if stun else ()))

    def _port_options(self, choice: SoundChoice, servers: CallServers, codecs: tuple[str, ...], *, seen: bool) -> PortOptions:
        registration = self._link.registration
        return PortOptions(
            ice_servers=self._known_servers,
            more_servers=servers.list,
            ca_file=self._environment.ca_file,
            relay_only=self._relay_only or registration.relay_only,
            loopback=self._environment.loopback,
            max_kbps=choice.max_kbps if isinstance(choice, SoundOptions) else None,
            codecs=codecs,
            pictures=PICTURE_CODECS if seen else (),
        )

    def _call_servers(self) -> CallServers:
        return CallServers(self._link.dialect.ice_servers, self._warn_of_servers, clock=lambda: self._link.dialect.now)

    def _warn_of_servers(self, error: SinchphoneError | TimeoutError) -> None:
        """Once: most networks do without."""
        if not self._warned_of_servers:
            self._warned_of_servers = True
            why = "it didn't answer in time" if isinstance(error, TimeoutError) else str(error)
            hint = "calls may fail where a firewall needs a relay; sinchphone help networks says more"
            self._tell(ClientWarning(message=f"the platform gave no ICE servers: {why}", hint=hint))

    def _renew_path(self, servers: CallServers) -> None:
        """This machine's network may have changed, or the relay in use is gone."""
        self._link.renew()
        servers.renew()

    def _sound(self, choice: SoundChoice, call_id: str) -> Sound:
        from sinchphone.media.local_audio.local_audio import LocalAudio

        return LocalAudio(choice.of_call(call_id), self._media) if isinstance(choice, SoundOptions) else choice


def _pictures(choice: VideoChoice | None, call_id: str) -> Pictures | None:
    if isinstance(choice, PictureOptions):
        from sinchphone.media.local_video.local_video import LocalVideo

        return LocalVideo(choice.of_call(call_id))
    return choice


def _report_of(call: Call) -> CallReport:
    details = call.details
    return CallReport(
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
