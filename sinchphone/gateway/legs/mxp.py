"""The MXP users' ends of bridged calls: an ``engine.Call`` whose channel is inside the exchange and whose media is a door.

::

    IncomingLeg   Line.frames  -> MxpChannel -> Call (incoming) -> Line.publish
    OutgoingLeg   a channel of our own -> MxpChannel -> Call (outgoing, all devices of the user ring) -> their channels
"""

import asyncio
import os
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Final

from sinchphone.engine.call import Call
from sinchphone.errors import MediaError, RemoteProtocolError
from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.delivery import Caller
from sinchphone.exchange.calls.line import Line, post
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.pubsub.polling import messages
from sinchphone.exchange.refusals import RefusedError
from sinchphone.gateway.legs.door import Door, DoorSound
from sinchphone.gateway.legs.leg import (
    Answered,
    BranchRings,
    CallerName,
    Dialled,
    Failure,
    Gone,
    LegEvent,
    Reoffered,
    Ringing,
    Trickled,
)
from sinchphone.gateway.legs.reasons import DECLINED, as_told, failure_of_error, failure_of_mxp, is_denial
from sinchphone.gateway.relay.relay import Transport
from sinchphone.media import port as media
from sinchphone.media.outbox import Outbox
from sinchphone.protocol import call_vocabulary as v
from sinchphone.protocol.call import CallMachine
from sinchphone.protocol.call_vocabulary import State
from sinchphone.protocol.jsep import Candidate, Description, encode_description
from sinchphone.protocol.mxp import BodyType, Client, Message, Method, parse_fragment
from sinchphone.protocol.public_headers import fitting
from sinchphone.signaling.channel import MxpChannel
from sinchphone.signaling.dialect import CallRequest, Domain

PROGRESS_SECONDS: Final = 8.0  # a caller gives up after 10 s without an ACK: longer than some media_backends take to ring
AGAIN_SECONDS: Final = 5.0  # for our answer to a later offer
_TALKING: Final = (State.ANSWERED, State.ESTABLISHED)
_NO_DIGITS: Final = "MXP has no digits beside the sound"


class _MxpLeg:
    """What both directions have in common: a call, its channel, its door, and what is told."""

    transport = Transport.WEBRTC
    signalled_from: str | None = None

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self._events = Outbox[LegEvent]()
        self._door = Door(on_answer=self._branch_answered, on_candidate=self._branch_trickled, on_offer=self._branch_offered)
        self._again: asyncio.Future[str] | None = None  # our answer to a later offer
        self._call: Call  # made by the direction
        self._codec: str | None = None  # of the sound, once it can flow
        self._refused: Failure | None = None  # why the exchange itself didn't take the call

    def events(self) -> AsyncIterator[LegEvent]:
        """What the user does; ends after Gone. One reader."""
        return self._events

    @property
    def _branch(self) -> str:
        """Which port the call is with."""
        return ""

    async def trickle(self, candidate: Candidate | None, *, branch: str = "") -> None:
        """Tell a candidate of ours (MXP has no end of them)."""
        self._door.tell(media.CandidateFound(candidate), branch or self._branch)

    async def media_connected(self, codec: str) -> None:
        """Sound can flow: the call counts as established once it is answered."""
        self._codec = codec
        self._door.tell(media.Connected("host", codec), self._branch)

    async def media_failed(self, reason: str) -> None:
        """The call fails where it is not established yet, and is lost where it is."""
        lost = self._call.state is State.ESTABLISHED
        self._door.tell(media.Lost(0.0) if lost else media.Failed(reason), self._branch)

    async def send_digit(self, digit: str, duration_ms: int) -> None:
        """Raises MediaError: MXP has nothing for that."""
        raise MediaError(_NO_DIGITS)

    async def answer_reoffer(self, sdp: str, *, offered: bool = True) -> str | None:
        """To an ICE restart of the user's, mostly. MXP users don't ask for offers."""
        if self._again is not None and not self._again.done():
            self._again.set_result(sdp)
        return None

    async def refuse_reoffer(self, failure: Failure) -> None:
        """MXP has no word for that: the user hears nothing, and the path stays as it is."""
        if self._again is not None and not self._again.done():
            self._again.set_exception(MediaError("the new offer can't be had"))

    async def hang_up(self, failure: Failure | None = None) -> None:
        """DENY where somebody decided so, ERROR for other failures, CANCEL to devices that ring, LEAVE after the answer."""
        if failure is None or failure == DECLINED:  # DENY says that by itself
            await self._call.hang_up()
        elif self._call.outbound or is_denial(failure) or self._call.state in _TALKING:
            await self._call.hang_up(as_told(failure))
        else:
            await self._call.fail(as_told(failure))

    async def _carry(self, channel: MxpChannel, frames: AsyncIterator[object]) -> None:
        """Run the call to its end, with what comes for it."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(_feed(channel, frames), name=f"feed {self.id}"),
                    group.create_task(self._watch(), name=f"watch {self.id}"),
                ]
                await self._call.run()
                for task in beside:
                    task.cancel()
        finally:
            self._finish()

    def _finish(self) -> None:
        details = self._call.details
        self._events.put(Gone(self._refused or failure_of_mxp(details.cause, details.failure)))
        self._events.end()

    async def _watch(self) -> None:
        """What else happens beside the call."""

    def _branch_answered(self, branch: str, sdp: str) -> None:
        self._events.put(BranchRings(branch, sdp))

    def _branch_trickled(self, branch: str, candidate: Candidate | None) -> None:
        self._events.put(Trickled(candidate, branch))

    async def _branch_offered(self, branch: str, sdp: str) -> str:
        if self._branch not in ("", branch) or self._again is not None:
            raise MediaError("not now")
        self._again = asyncio.get_running_loop().create_future()
        self._events.put(Reoffered(sdp))
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                return await self._again
        except TimeoutError as error:
            raise MediaError("the new offer was not answered") from error
        finally:
            self._again = None


class MxpIncomingLeg(_MxpLeg):
    """A user calls something that is no user, or through a backend. (MXP v10, calls that a server's gateway handles)"""

    def __init__(self, line: Line) -> None:
        super().__init__(line.request.call_id)
        request = line.request
        self.application = line.application
        self.caller = CallerName(Domain.MXP, line.caller.user_id, request.caller_id or None)
        self.dialled = Dialled(request.domain, request.identity)
        self.headers: Mapping[str, str] = dict(request.headers)
        self.offer: str | None = request.offer.sdp
        self._legacy = ":" in line.caller.instance_id
        self._line = line
        self._channel = MxpChannel(self.id, line.publish, now=asyncio.get_running_loop().time, randbytes=os.urandom)
        self._channel.configure(line.session_key)
        invite = Message(Method.INVITE, line.caller, BodyType.MEDIA, "", {"sdp": encode_description(request.offer)})
        self._call = Call(
            CallMachine(line.local, invite=invite),
            call_id=self.id,
            peer=line.caller.user_id,
            domain=request.domain,
            channel=self._channel,
            ports=self._door,
            port_options=media.PortOptions(),
            sound=DoorSound(),
        )

    async def run(self) -> None:
        """Carry the leg until it is over. Cancelling it hangs up."""
        await self._carry(self._channel, self._line.frames())

    async def ring(self) -> None:
        """ACK without an answer."""
        await self._call.ring()

    async def early(self, sdp: str) -> None:
        """ACK with an answer, to be heard at once. A legacy client would take the first ACK for the answer, so it gets another before."""
        if self._legacy:
            await self._call.ring()
        self._door.give(Description("answer", sdp))
        await self._call.preview()

    async def answer(self, sdp: str) -> None:
        """JOIN, with the answer unless it was told before."""
        self._door.give(Description("answer", sdp))
        await self._call.answer()

    async def _watch(self) -> None:
        """A caller who hears of nothing for too long is told that it rings."""
        await asyncio.sleep(PROGRESS_SECONDS)
        if not self._door.description.done():
            await self._call.ring()

    def _branch_trickled(self, branch: str, candidate: Candidate | None) -> None:
        self._events.put(Trickled(candidate))


class MxpOutgoingLeg(_MxpLeg):
    """All devices of a user ring; the first that picks up has the call."""

    def __init__(
        self, calls: Calls, broker: Broker, application: Application, user_id: str, caller: CallerName, headers: Mapping[str, str]
    ) -> None:
        super().__init__(str(uuid.uuid4()))
        self._calls = calls
        self._broker = broker
        shown = caller.caller_id or ("" if caller.domain is Domain.MXP else caller.identity)
        user = caller.identity if caller.domain is Domain.MXP else ""
        me = Client(user, f"gateway-{uuid.uuid4()}", f"gateway-{secrets.token_urlsafe(24)}", device="exchange", caller_id=shown)
        self._placing = Caller(application, me, me.instance_id)
        self._headers = fitting(headers)
        self._domain, self._user_id = caller.domain, user_id
        self._token = broker.tokens.present(time.time())
        self._channel = MxpChannel(self.id, self._publish, now=asyncio.get_running_loop().time, randbytes=os.urandom)
        self._chosen = ""
        self._sdp: dict[str, str] = {}
        self._call = Call(
            CallMachine(me),
            call_id=self.id,
            peer=user_id,
            domain=caller.domain,
            channel=self._channel,
            ports=self._door,
            port_options=media.PortOptions(),
            sound=DoorSound(self._branch_chosen),
            place=self._place,
        )

    async def start(self, offer: str) -> None:
        """Call with that offer, which must contain all candidates (legacy clients learn them nowhere else)."""
        self._door.give(Description("offer", offer))

    async def run(self) -> None:
        """Carry the leg, from its start, until it is over. Cancelling it hangs up."""
        try:
            await asyncio.shield(self._door.description)
        except asyncio.CancelledError:
            self._events.put(Gone())
            self._events.end()
            raise
        await self._carry(self._channel, self._frames())

    def alternative(self) -> None:
        """Users have one kind of sound."""

    def release(self) -> None:
        """The exchange may forget the call."""
        self._calls.close_call(self._placing, self.id)

    @property
    def _branch(self) -> str:
        return self._chosen

    async def _place(self, offer: Description) -> v.Placed:
        request = CallRequest(self.id, self._domain, self._user_id, offer, self._placing.client.caller_id or None, self._headers)
        try:
            placement = self._calls.invite(self._placing, request, time.time())
        except RefusedError as error:
            self._refused = failure_of_error(error)
            raise
        self._channel.configure(placement.session_key)
        return v.Placed(placement.signal_channel, len(placement.instances) or None)

    async def _publish(self, channel: str, frame: str) -> None:
        post(self._broker, self._subscribe_key, channel, frame, self._placing.instance_id)

    async def _frames(self) -> AsyncIterator[object]:
        async for posted in messages(self._broker, self._subscribe_key, self._placing.client.channel, self._token):
            yield posted.payload

    @property
    def _subscribe_key(self) -> str:
        return self._placing.application.signal.subscribe_key

    async def _watch(self) -> None:
        async for state in self._call.states():
            if state is State.RINGING:
                self._events.put(Ringing())

    def _branch_answered(self, branch: str, sdp: str) -> None:
        self._sdp[branch] = sdp
        super()._branch_answered(branch, sdp)

    def _branch_chosen(self, branch: str) -> None:
        self._chosen = branch
        if self._codec is not None:  # connected in advance
            self._door.tell(media.Connected("host", self._codec), branch)
        self._events.put(Answered(self._sdp.get(branch), branch))


async def _feed(channel: MxpChannel, frames: AsyncIterator[object]) -> None:
    async for payload in frames:
        with suppress(RemoteProtocolError):
            channel.feed(parse_fragment(payload))
