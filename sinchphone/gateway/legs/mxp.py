"""The MXP users' ends of bridged calls: a call machine whose channel is inside the exchange and whose descriptions come from the bridge.

::

    IncomingLeg   Line.frames  -> MxpChannel -> CallMachine (incoming) -> Line.publish
    OutgoingLeg   a channel of our own -> MxpChannel -> CallMachine (outgoing, all devices of the user ring) -> their channels

    start, answer -> OfferReady, AnswerReady          ApplyAnswer -> BranchRings      AddCandidate -> Trickled     Renegotiate -> Reoffered
    PlaceCall     -> Calls.invite                     CarrySound  -> Answered         Entered(RINGING) -> Ringing  Ended -> Gone
"""

import asyncio
import logging
import os
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, assert_never

from sinchphone.engine.calls.machine_driver import MachineDriver, MediaEffect
from sinchphone.engine.calls.transfers.transfer import Transfer
from sinchphone.errors import LocalProtocolError, MediaError, RemoteProtocolError, SinchphoneError, TransferError
from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.delivery import Caller
from sinchphone.exchange.calls.line import CallLine, post
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.pubsub.polling import messages
from sinchphone.exchange.refusals import RefusedError
from sinchphone.gateway.call_facts import CallerName, Dialled, Failure
from sinchphone.gateway.legs.leg import Answered, BranchRings, Gone, LegEvent, Reoffered, Ringing, TransferAsked, Trickled
from sinchphone.gateway.legs.reasons import CLOSING, DECLINED, ELSEWHERE, as_told, failure_of_error, failure_of_mxp, is_denial
from sinchphone.gateway.relay.relay import MediaTransport, silence_of
from sinchphone.media.outbox import Outbox
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.room_events import MutedHere, decode_room_event
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.call.transfer_events import TransferNews, TransferWish, decode_transfer, encode_transfer
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, parse_fragment
from sinchphone.protocol.mxp.public_headers import fitting
from sinchphone.protocol.phone_numbers import PRIVATE, is_number
from sinchphone.protocol.sdp.jsep import Candidate, Description, encode_description
from sinchphone.signaling.channel import MxpChannel
from sinchphone.signaling.dialect import CallRequest, Domain, Placement

AGAIN_SECONDS: Final = 5.0  # for our answer to a later offer
_TALKING: Final = (State.ANSWERED, State.ESTABLISHED)
_NO_DIGITS: Final = "MXP has no digits beside the sound"

_log = logging.getLogger(__name__)


class _MxpLeg:
    """What both directions have in common: a driven machine, its devices as branches, and what is told."""

    transport = MediaTransport.WEBRTC
    signalled_from: str | None = None
    media_host: str | None = None

    def __init__(self, call_id: str, machine: CallMachine, channel: MxpChannel) -> None:
        self.id = call_id
        self._channel = channel
        self._events = Outbox[LegEvent]()
        self._driver = MachineDriver(
            machine, channel, name=f"leg {call_id}", perform=self._perform, failed=self._note_failure, closing_reason=as_told(CLOSING)
        )
        self._transfer = Transfer(self._driver)
        self._description: asyncio.Future[Description] = asyncio.get_running_loop().create_future()  # ours; the first one counts
        self._branches: dict[str, str] = {}  # by device
        self._chosen: str | None = None  # the device that the call is with
        self._again: asyncio.Future[str] | None = None  # our answer to a later offer
        self._asked: asyncio.Future[str] | None = None  # the user's answer to a later offer of ours
        self._refused: Failure | None = None  # why the exchange itself didn't take the call

    def events(self) -> AsyncIterator[LegEvent]:
        """What the user does; ends after Gone. One reader."""
        return self._events

    async def trickle(self, candidate: Candidate | None, *, branch: str = "") -> None:
        """Tell a candidate of ours (MXP has no end of them)."""
        device = next((device for device, own in self._branches.items() if own == branch), None) if branch else self._device
        if device is not None:
            self._driver.put(v.LocalCandidate(device, candidate))

    async def media_connected(self, codec: str) -> None:
        """Sound can flow: the call counts as established once it is answered."""
        if self._device is not None:
            self._driver.put(v.MediaConnected(self._device))

    async def media_failed(self, reason: str) -> None:
        """The call fails where it is not established yet, and is lost where it is."""
        if self._device is not None:
            lost = self._state is State.ESTABLISHED
            self._driver.put(v.MediaLost(self._device) if lost else v.MediaFailed(self._device, reason))

    async def media_silent(self, silent_s: float) -> None:
        """A user's path is watched for the peer's consent, not for its sound: without that it's lost."""
        await self.media_failed(silence_of(silent_s))

    async def send_digit(self, digit: str, duration_ms: int) -> None:
        """Raises MediaError: MXP has nothing for that."""
        raise MediaError(_NO_DIGITS)

    async def answer_reoffer(self, sdp: str, *, offered: bool = True) -> str | None:
        """To an ICE restart of the user's, mostly. MXP users don't ask for offers."""
        if self._again is not None and not self._again.done():
            self._again.set_result(sdp)
        return None

    async def reoffer(self, sdp: str) -> str:
        """A PEER EVENT with an offer. Users of clients that know of none don't answer it. Raises MediaError."""
        if self._chosen is None or self._state is not State.ESTABLISHED:
            raise MediaError("the call isn't established")
        asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked = asked
        self._driver.put(v.DescribedAgain(self._chosen, Description("offer", sdp)))
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                return await asked
        except TimeoutError as error:
            raise MediaError("the user's client doesn't answer a new offer") from error
        finally:
            self._asked = None

    async def transfer(self, to: str, replaces: str = "") -> Failure | None:
        """A client event. Users of clients that know of none don't take it."""
        try:
            await self._transfer.ask(to, replaces)
        except TransferError as error:
            return Failure(error.status, str(error))
        except LocalProtocolError as error:
            return Failure(491, str(error))
        return None

    async def tell_transfer(self, news: TransferNews) -> None:
        """A client event."""
        self.tell_client_event(encode_transfer(news))

    def tell_client_event(self, body: str) -> None:
        """Something that MXP has no word for."""
        self._driver.put(v.TellClientEvent(body))

    async def refuse_reoffer(self, failure: Failure) -> None:
        """MXP has no word for that: the user hears nothing, and the path stays as it is."""
        if self._again is not None and not self._again.done():
            self._again.set_exception(MediaError("the new offer can't be had"))

    async def hang_up(self, failure: Failure | None = None) -> None:
        """DENY where somebody decided so, ERROR for other failures, CANCEL to devices that ring, LEAVE after the answer."""
        if failure is None or failure == DECLINED:  # DENY says that by itself
            self._driver.put(v.HangUp())
        elif self._driver.machine.outbound or is_denial(failure) or self._state in _TALKING:
            self._driver.put(v.HangUp(as_told(failure)))
        else:
            self._driver.put(v.Failed(as_told(failure)))

    @property
    def _state(self) -> State:
        return self._driver.machine.state

    @property
    def _device(self) -> str | None:
        """Whom the call is with: before that is decided, the first device that answered."""
        return self._chosen or next(iter(self._branches), None)

    def _branch(self, device: str) -> str:
        """What the bridge calls a device."""
        return self._branches.setdefault(device, str(len(self._branches) + 1))

    def _give(self, description: Description) -> None:
        if not self._description.done():
            self._description.set_result(description)

    async def _carry(self, frames: AsyncIterator[object]) -> None:
        """Drive the machine to its end, with what comes for it."""
        try:
            await self._driver.run(self._release, _feed(self._channel, frames))
        finally:
            ended = self._driver.ended
            failure = failure_of_mxp(ended.cause, ended.failure) if ended is not None else failure_of_mxp(None, None)
            self._end(self._refused or failure)

    def _end(self, failure: Failure | None) -> None:
        self._transfer.ended()
        self._events.put(Gone(failure=failure))
        self._events.end()

    async def _release(self) -> None:
        """Nothing was taken: the media are the bridge's."""

    def _note_failure(self, queue: str, error: SinchphoneError) -> None:
        self._driver.fail(error)

    def _perform(self, effect: MediaEffect) -> None:
        match effect:
            case v.MakeOffer():
                self._driver.order(self._offer())
            case v.PlaceCall(offer):
                self._driver.order(self._place(offer))
            case v.MakeAnswer(device):
                self._chosen = device
                self._branch(device)
                self._driver.order(self._answer())
            case v.ApplyAnswer(device, answer):
                self._answered(device, answer.sdp)
            case v.AddCandidate(device, candidate):
                self._events.put(Trickled(candidate=candidate, branch=self._branch(device) if self._driver.machine.outbound else ""))
            case v.Renegotiate(device, theirs, _):
                self._renegotiate(device, theirs)
            case v.ClientEventHeard(body):
                self._hear_client_event(body)
            case v.CarrySound(device, early):
                self._choose(device, early=early)
            case v.Entered(state):
                self._enter(state)
            case v.DropPeer() | v.Ended():  # the bridge lets go of the others by itself; the end is told when it is over
                pass
            case _:
                assert_never(effect)

    def _hear_client_event(self, body: str) -> None:
        match decode_transfer(body):
            case TransferWish(to, replaces):
                self._events.put(TransferAsked(to=to, replaces=replaces))
            case TransferNews() as news:
                self._transfer.heard(news)
            case None:
                self._hear_room_event(body)

    def _hear_room_event(self, body: str) -> None:
        """What the user says to the room that the call is in."""

    async def _offer(self) -> v.Input:
        return v.OfferReady(await asyncio.shield(self._description))

    async def _answer(self) -> v.Input:
        return v.AnswerReady(await asyncio.shield(self._description))

    async def _place(self, offer: Description) -> v.Input:
        raise MediaError("only an outgoing leg is placed")

    def _answered(self, device: str, sdp: str) -> None:
        """A device's answer, which counts if it takes the call."""

    def _choose(self, device: str, *, early: bool) -> None:
        """The call is with that device, or only heard from there ``early``."""

    def _enter(self, state: State) -> None:
        """The call is in that state now."""

    def _renegotiate(self, device: str, theirs: Description | None) -> None:
        if theirs is None:  # the bridge's ports restart nothing by themselves
            return
        if theirs.type == "answer":
            if self._asked is not None and not self._asked.done():
                self._asked.set_result(theirs.sdp)
        else:
            self._driver.queue(device).put(partial(self._answer_again, device, theirs.sdp))

    async def _answer_again(self, device: str, sdp: str) -> None:
        """A later offer of the user's (an ICE restart, mostly). Where it can't be answered the sound goes on as it does."""
        if device != self._chosen:
            return
        self._again = asyncio.get_running_loop().create_future()
        self._events.put(Reoffered(sdp=sdp))
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                self._driver.put(v.DescribedAgain(device, Description("answer", await self._again)))
        except (TimeoutError, MediaError) as error:
            _log.info("the path to the user stays as it is: %s", error or "the new offer was not answered")
        finally:
            self._again = None


class MxpIncomingLeg(_MxpLeg):
    """A user calls something that is no user, or through a backend. (MXP v10, calls that a server's gateway handles)"""

    def __init__(self, line: CallLine) -> None:
        request = line.request
        invite = Message(Method.INVITE, line.caller, BodyType.MEDIA, "", {"sdp": encode_description(request.offer)})
        channel = MxpChannel(request.call_id, line.publish, now=asyncio.get_running_loop().time, randbytes=os.urandom)
        channel.configure(line.session_key)
        super().__init__(request.call_id, CallMachine(line.local, invite=invite), channel)
        self.application = line.application
        self.caller = CallerName(Domain.MXP, line.caller.user_id, _number_shown(request))
        self.dialled = Dialled(request.domain, request.identity)
        self.headers: Mapping[str, str] = dict(request.headers)
        self.offer: str | None = request.offer.sdp
        self._told_of_muting: Callable[[bool], None] | None = None
        self._legacy = ":" in line.caller.instance_id
        self._line = line

    async def run(self) -> None:
        """Carry the leg until it is over. Cancelling it hangs up."""
        await self._carry(self._line.frames())

    def report_muting(self, told: Callable[[bool], None]) -> None:
        """From now on ``told`` is called when the user says whether they are muted."""
        self._told_of_muting = told

    def _hear_room_event(self, body: str) -> None:
        event = decode_room_event(body)
        if isinstance(event, MutedHere) and self._told_of_muting is not None:
            self._told_of_muting(event.muted)

    async def ring(self) -> None:
        """ACK without an answer."""
        self._driver.put(v.Ring())

    async def early(self, sdp: str) -> None:
        """ACK with an answer, to be heard at once. A legacy client would take the first ACK for the answer, so it gets another before."""
        if self._legacy:
            self._driver.put(v.Ring())
        self._give(Description("answer", sdp))
        self._driver.put(v.Preview())

    async def answer(self, sdp: str) -> None:
        """JOIN, with the answer unless it was told before."""
        self._give(Description("answer", sdp))
        self._driver.put(v.Answer())


class MxpOutgoingLeg(_MxpLeg):
    """All devices of a user ring; the first that picks up has the call."""

    def __init__(
        self,
        calls: Calls,
        broker: Broker,
        application: Application,
        user_id: str,
        caller: CallerName,
        headers: Mapping[str, str],
        besides: str = "",
    ) -> None:
        """``besides``: the instance that calls, which isn't rung itself."""
        shown = caller.caller_id or ("" if caller.domain is Domain.MXP else caller.identity)
        user = caller.identity if caller.domain is Domain.MXP else ""
        me = Client(user, f"gateway-{uuid.uuid4()}", f"gateway-{secrets.token_urlsafe(24)}", device="exchange", caller_id=shown)
        call_id = str(uuid.uuid4())
        channel = MxpChannel(call_id, self._publish, now=asyncio.get_running_loop().time, randbytes=os.urandom)
        super().__init__(call_id, CallMachine(me), channel)
        self._calls = calls
        self._broker = broker
        self._placing = Caller(application, me, me.instance_id)
        self._headers = fitting(headers)
        self._display_name = caller.display_name
        self._domain, self._user_id, self._besides = caller.domain, user_id, besides
        self._token = broker.tokens.present(time.time())
        self._answers: dict[str, str] = {}  # by device
        self._taken = False  # Answered was told
        self._connected = False

    async def start(self, offer: str) -> None:
        """Call with that offer, which must contain all candidates (legacy clients learn them nowhere else)."""
        self._give(Description("offer", offer))

    async def used_up(self) -> Failure:
        """Never: it costs nothing."""
        never: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        return await never

    async def run(self) -> None:
        """Carry the leg, from its start, until it is over. Cancelling it hangs up."""
        try:
            await asyncio.shield(self._description)
        except asyncio.CancelledError:
            self._end(None)
            raise
        await self._carry(self._frames())

    async def media_connected(self, codec: str) -> None:
        """Sound can flow, perhaps before the call is answered: a device may be connected in advance."""
        self._connected = True
        await super().media_connected(codec)

    async def hang_up(self, failure: Failure | None = None) -> None:
        """Devices that ring are told where somebody else answered, or denied the call for all: they have missed nothing."""
        if failure is not None and self._state not in _TALKING and (failure == ELSEWHERE or is_denial(failure)):
            cause = Cause.OTHER_DEVICE_ANSWERED if failure == ELSEWHERE else Cause.DENIED
            self._driver.put(v.HangUp(as_told(failure), elsewhere=cause))
        else:
            await super().hang_up(None if failure == ELSEWHERE else failure)

    @property
    def forwards_as(self) -> None:
        """MXP sends no calls on."""

    def alternative(self) -> None:
        """Users have one kind of sound."""

    def release(self) -> None:
        """The exchange may forget the call."""
        self._calls.open.close_call(self._placing, self.id)

    async def _place(self, offer: Description) -> v.Input:
        number, name = self._placing.client.caller_id or None, self._display_name
        request = CallRequest(self.id, self._domain, self._user_id, offer, number, self._headers, name)
        try:
            placement = await self._invite(request)
        except RefusedError as error:
            self._refused = failure_of_error(error)
            raise
        self._channel.configure(placement.session_key)
        return v.Placed(placement.signal_channel, len(placement.instances) or None)

    async def _invite(self, request: CallRequest) -> Placement:
        return self._calls.invite(self._placing, request, time.time(), besides=self._besides)

    async def _publish(self, channel: str, frame: str) -> None:
        post(self._broker, self._subscribe_key, channel, frame, self._placing.instance_id)

    async def _frames(self) -> AsyncIterator[object]:
        async for posted in messages(self._broker, self._subscribe_key, self._placing.client.channel, self._token):
            yield posted.payload

    @property
    def _subscribe_key(self) -> str:
        return self._placing.application.signal.subscribe_key

    def _answered(self, device: str, sdp: str) -> None:
        self._answers[device] = sdp
        self._events.put(BranchRings(branch=self._branch(device), sdp=sdp))
        self._tell_taken()

    def _choose(self, device: str, *, early: bool) -> None:
        if not early:
            self._chosen = device
            self._tell_taken()

    def _enter(self, state: State) -> None:
        if state is State.RINGING:
            self._events.put(Ringing())

    def _tell_taken(self) -> None:
        """The device that takes the call is told with its answer, which may come later than its word."""
        if self._taken or self._chosen not in self._answers:
            return
        self._taken = True
        if self._connected:
            self._driver.put(v.MediaConnected(self._chosen))
        self._events.put(Answered(sdp=self._answers[self._chosen], branch=self._branch(self._chosen)))


def _number_shown(request: CallRequest) -> str | None:
    """What a user may show beside their name: over SIP a number, or nothing at all, since any other word would be somebody's name."""
    shown = request.caller_id or None
    if request.domain is Domain.PSTN or shown == PRIVATE or (shown is not None and is_number(shown)):
        return shown
    return None


async def _feed(channel: MxpChannel, frames: AsyncIterator[object]) -> None:
    async for payload in frames:
        with suppress(RemoteProtocolError):
            channel.feed(parse_fragment(payload))
