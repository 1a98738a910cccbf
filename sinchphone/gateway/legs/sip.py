"""The SIP ends of bridged calls: a call of the SIP user agent as the B2BUA sees it."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable, Container, Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Final
from urllib.parse import quote

from sinchphone.errors import TRUNK_AWAY, MediaError, NetworkError, RemoteProtocolError, SinchphoneError
from sinchphone.gateway.call_facts import CallerName, Dialled, Failure
from sinchphone.gateway.legs import leg as told
from sinchphone.gateway.legs.leg import Gone, LegEvent
from sinchphone.gateway.legs.reasons import ELSEWHERE, failure_of_error, vanished
from sinchphone.gateway.relay.relay import MediaTransport, silence_of
from sinchphone.gateway.sip import calls as sip
from sinchphone.gateway.sip.calls import SipCall, SipError, SipTarget
from sinchphone.gateway.sip.network.hop import Transport as SipTransport
from sinchphone.gateway.trunk.metering import CallMeter
from sinchphone.media.outbox import Outbox
from sinchphone.protocol.call.transfer_events import TransferNews
from sinchphone.protocol.names import DIALLED_ROOM_PREFIX, ROOM_PREFIX
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.protocol.sdp.session_description import read_session
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.protocol.sip.message import MAX_FORWARDS
from sinchphone.protocol.sip.uri import SipAddress, SipUri, parse_uri
from sinchphone.quick_dataclass import quick_dataclass

MAX_REASON_CHARACTERS: Final = 120
UNFIT: Final = (488, 606)  # what a peer says of a description that it can't use (RFC 3261 21.4.26, 21.6.4)
UNAVAILABLE: Final = 503  # with Retry-After, who hears it asks us for nothing any more (RFC 3261 16.7, 21.5.4)
OF_LEG: Final = "sinchphone-leg"  # in place of tags
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


def dialog_of_leg(leg_id: str) -> ReplacedDialog:
    """A call of ours that isn't one of SIP, as a phone may name it to be replaced."""
    return ReplacedDialog(leg_id, OF_LEG, OF_LEG)


def transport_of(sdp: str | None) -> MediaTransport:
    """What the first section of sound asks for; plain RTP where there's none (we offer then)."""
    try:
        sections = read_session(sdp or "").sections
    except RemoteProtocolError:
        return MediaTransport.RTP
    profile = next((one.profile for one in sections if one.kind == "audio" and one.port), "")
    return MediaTransport.SRTP if "SAVP" in profile.upper() else MediaTransport.RTP


class _SipLeg:
    """What both directions have in common."""

    def __init__(self, media_host: str | None) -> None:
        self.media_host = media_host
        self._events = Outbox[LegEvent]()
        self._call: SipCall | None = None
        self._answered = False
        self._given_up: Failure | None = None  # why we ended it
        self._is_unfit = False  # the other side itself has refused what we offered

    def events(self) -> AsyncIterator[LegEvent]:
        """What the other side does; ends after Gone. One reader."""
        return self._events

    async def trickle(self, candidate: Candidate | None, *, branch: str = "") -> None:
        """A leg without ICE."""

    async def media_connected(self, codec: str) -> None:
        """SIP doesn't tell."""

    async def media_failed(self, reason: str) -> None:
        """The call can't go on."""
        await self.hang_up(vanished(f"the sound broke off: {reason}"))

    async def media_silent(self, silent_s: float) -> None:
        """OPTIONS: a phone that is there may be silent."""
        if self._call is not None:
            await self._call.probe(silence_of(silent_s))

    async def send_digit(self, digit: str, duration_ms: int) -> None:
        """INFO."""
        if self._call is None:
            raise MediaError("the call hasn't begun")
        await self._call.send_digit(digit, duration_ms)

    async def answer_reoffer(self, sdp: str, *, offered: bool = True) -> str | None:
        """200 to a re-INVITE or UPDATE; where that had no description, the answer to ours. Raises MediaError where none comes."""
        if self._call is None:
            return None
        try:
            return await self._call.answer_reoffer(sdp, offered=offered)
        except SipError as error:
            raise MediaError(str(error)) from error

    async def reoffer(self, sdp: str) -> str:
        """re-INVITE; where both sides offer at once it's tried again (RFC 3261 14.1). Raises MediaError where it's refused."""
        if self._call is None:
            raise MediaError("the call hasn't begun")
        try:
            return await self._call.reoffer(sdp)
        except SipError as error:
            raise MediaError(str(error)) from error

    async def transfer(self, to: str, replaces: str = "") -> Failure | None:
        """REFER: the phone calls there itself. What is no SIP address is somebody at the host that the phone knows us by; what is to be
        replaced is a call of ours, and told so as a dialog."""
        if self._call is None:
            return Failure(481, "the call hasn't begun")
        try:
            uri = self._address_of(to)
            if not uri.is_sip or uri.headers:
                return Failure(400, "that is no SIP address")
            if replaces:
                uri = replace(self._one_of_ours(uri.user or ""), headers=dialog_of_leg(replaces).in_uri())
            await self._call.refer(str(uri))
        except RemoteProtocolError as error:
            return Failure(400, str(error))
        except SipError as error:
            return Failure(error.status, str(error), "sip")
        return None

    def _address_of(self, to: str) -> SipUri:
        if to.startswith(ROOM_PREFIX):
            return self._one_of_ours(to.replace(ROOM_PREFIX, DIALLED_ROOM_PREFIX, 1))
        if to.startswith(("sip:", "sips:")):
            return parse_uri(to)
        return parse_uri(f"sip:{to}") if "@" in to else self._one_of_ours(to)

    def _one_of_ours(self, name: str) -> SipUri:
        return parse_uri(f"sip:{quote(name, safe='')}@{self._our_authority}")

    async def tell_transfer(self, news: TransferNews) -> None:
        """NOTIFY."""
        if self._call is not None:
            await self._call.tell_refer(news.status, _phrase(news.reason))

    @property
    def sip_call(self) -> SipCall | None:
        """The call, once there is one."""
        return self._call

    @property
    def _our_authority(self) -> str:
        """The host, and port, under which the other side called us, or was called by us."""
        raise NotImplementedError

    async def refuse_reoffer(self, failure: Failure) -> None:
        """488, or what it is."""
        if self._call is not None:
            await self._call.refuse_reoffer(failure.status)

    async def hang_up(self, failure: Failure | None = None) -> None:
        """CANCEL, BYE or a refusal."""
        self._given_up = self._given_up or failure
        if self._call is not None:
            await self._end(self._call, failure)

    async def _end(self, call: SipCall, failure: Failure | None) -> None:
        await _leave(call, failure)

    async def _carry(self, call: SipCall) -> None:
        last: LegEvent = Gone()
        try:
            async for event in call.events():
                translated = self._translated(event)
                if isinstance(translated, Gone):
                    last = translated
                else:
                    self._events.put(translated)
        except asyncio.CancelledError:
            await self.hang_up(Failure(503, "the exchange is closing"))
            raise
        finally:
            self._events.put(last)
            self._events.end()

    def _translated(self, event: sip.SipEvent) -> LegEvent:
        match event:
            case sip.SipRinging():
                return told.Ringing()
            case sip.SipEarly(sdp):
                return told.Early(sdp=sdp)
            case sip.SipAnswered(sdp):
                self._answered = True
                return told.Answered(sdp=sdp)
            case sip.SipReoffered(sdp):
                return told.Reoffered(sdp=sdp)
            case sip.SipAnswerChanged():
                return told.AnswerChanged()
            case sip.SipDigitHeard(digit, duration_ms):
                return told.DigitPressed(digit=digit, duration_ms=duration_ms)
            case sip.SipReferred(target, replaces):
                return told.TransferAsked(to=self._somebody(target), replaces=replaces or "")
            case sip.Refused(error=SinchphoneError() as error):
                return Gone(failure=self._given_up or failure_of_error(error))
            case sip.Refused(status, reason, moved=moved, retry_after_s=retry_after_s, headers=headers):
                self._is_unfit = status in UNFIT
                refused = Failure(status, reason or f"SIP {status}", "sip", retry_after_s, headers)
                return Gone(failure=self._given_up or refused, moved=() if self._given_up else moved)
            case sip.SipEnded(reason, status):
                return Gone(failure=self._given_up or self._failure(status, reason))

    def _somebody(self, target: SipUri) -> str:
        """Whom a phone names: who is at the host that it knows us by is one of ours, or a number."""
        ours = target.authority == self._our_authority or target.host == parse_uri(f"sip:{self._our_authority}").host
        if target.scheme == "tel" or ours:
            return target.number or target.subscriber
        return str(replace(target, parameters=()))

    def _failure(self, status: int | None, reason: str) -> Failure | None:
        """Of a call that ended: hanging up is none, nor is a caller who gave up. Who says in mid-call that time ran out has lost somebody:
        the session expired, or the way there broke off."""
        if status is None or status < 400 or status == 487:
            return None
        if self._answered and status == 408:
            return vanished(reason or "the other side vanished")
        return Failure(status, reason or f"SIP {status}", "sip")


class SipIncomingLeg(_SipLeg):
    """A phone, a trunk or a proxy calls."""

    def __init__(self, call: SipCall, caller: CallerName, dialled: Dialled, *, media_host: str | None = None) -> None:
        super().__init__(media_host)
        self._call: SipCall = call
        self.id = str(uuid.uuid4())  # the caller's Call-ID is theirs to choose, and may come again
        self.caller = caller
        self.dialled = dialled
        self.headers: Mapping[str, str] = dict(call.headers)
        self.offer = call.offer
        self.transport = MediaTransport.SRTP if call.offer is None and call.facts.encrypted else transport_of(call.offer)
        source = call.facts.source
        self.signalled_from = source.host if source is not None else None

    async def run(self) -> None:
        """Carry the leg until it is over. Cancelling it hangs up."""
        await self._carry(self._call)

    @property
    def _our_authority(self) -> str:
        return self._call.target.authority

    async def ring(self) -> None:
        """180."""
        await self._call.ring()

    async def early(self, sdp: str) -> None:
        """183."""
        await self._call.early(sdp)

    async def answer(self, sdp: str) -> None:
        """200."""
        self._answered = True
        await self._call.answer(sdp)

    def _failure(self, status: int | None, reason: str) -> Failure | None:
        """A CANCEL may say that somebody else answered (RFC 3326)."""
        return ELSEWHERE if status == ELSEWHERE.status and not self._answered else super()._failure(status, reason)

    async def _end(self, call: SipCall, failure: Failure | None) -> None:
        if self._answered or failure is None:
            await _leave(call, failure)
        else:
            retry_after_s = failure.retry_after_s if failure.status != UNAVAILABLE else None  # of the server that was called, not of us
            await call.refuse(failure.status, _phrase(failure.reason), retry_after_s=retry_after_s)


class Srtp(Enum):
    """How much encryption of the sound is wanted. Where none is, a phone that insists on it gets it all the same."""

    IF_POSSIBLE = "if possible"
    ALWAYS = "always"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """How a SIP call is to be made."""

    target: SipTarget
    caller: SipAddress
    headers: Mapping[str, str] = field(default_factory=dict)
    credentials: Credentials | None = None
    transport: SipTransport | None = None
    trunk: str | None = None
    srtp: "Srtp | None" = None
    max_forwards: int = MAX_FORWARDS
    barred: Container[str] = ()  # addresses that it may not lead to
    may_follow: Callable[[SipUri], bool] | None = None  # where a redirection may lead by itself; None: wherever the agent lets it
    user: str | None = None  # whose phone it is
    call_id: str | None = None  # Call-ID: the leg's own id


Invite = Callable[[Invitation, str], SipCall]  # with our offer


class SipOutgoingLeg(_SipLeg):
    """We call a phone, a SIP address or a number over the trunk."""

    def __init__(
        self,
        invite: Invite,
        invitation: Invitation,
        *,
        media_host: str | None,
        over: Callable[[], object],
        meter: CallMeter | None = None,
        again: bool = False,
    ) -> None:
        """``over`` frees what the leg was given; ``meter`` counts what it uses; ``again``: the first kind of sound was refused."""
        super().__init__(media_host)
        self.id = str(uuid.uuid4())
        self.transport = MediaTransport.RTP if (invitation.srtp is None) is not again else MediaTransport.SRTP
        self._again = again
        self._invite = invite
        self._invitation = invitation
        self._over = over
        self._meter = meter
        self._started: asyncio.Future[SipCall] = asyncio.get_running_loop().create_future()

    @property
    def signalled_from(self) -> str | None:
        """Where its answers come from; before one came, or where others hand them on, where a phone registered from."""
        target = self._invitation.target
        if target.route and target.hop is not None:
            return target.hop.host
        hop = (self._call.heard_from if self._call is not None else None) or target.hop
        return hop.host if hop is not None else None

    @property
    def _our_authority(self) -> str:
        return self._invitation.caller.uri.authority

    @property
    def forwards_as(self) -> str | None:
        """Whose phone it is."""
        return self._invitation.user

    async def start(self, offer: str) -> None:
        """INVITE."""
        if self._given_up is None and not self._started.done():
            self._call = self._invite(replace(self._invitation, call_id=self.id), offer)
            self._started.set_result(self._call)

    async def run(self) -> None:
        """Carry the leg, from its start, until it is over. Cancelling it hangs up."""
        try:
            call = await asyncio.shield(self._started)
        except asyncio.CancelledError:
            self._events.put(Gone(failure=self._given_up))
            self._events.end()
            raise
        await self._carry(call)

    def alternative(self) -> "SipOutgoingLeg | None":
        """The other kind of sound, once, unless it must be encrypted: where the other side has refused this one (488, 606)."""
        if not self._is_unfit or self._given_up is not None or self._again or self._invitation.srtp is Srtp.ALWAYS:
            return None
        over, self._over = self._over, _nothing
        return SipOutgoingLeg(self._invite, self._invitation, media_host=self.media_host, over=over, meter=self._meter, again=True)

    def _translated(self, event: sip.SipEvent) -> LegEvent:
        """A trunk that isn't found, or can't be reached, says nothing of the number."""
        match event:
            case sip.Refused(error=NetworkError() as error) if self._invitation.trunk is not None and self._given_up is None:
                return Gone(failure=failure_of_error(NetworkError(f"{TRUNK_AWAY}: {error}", hint=error.hint)))
            case _:
                return super()._translated(event)

    async def used_up(self) -> Failure:
        """Why the call has to end, when its meter says so."""
        never: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        return await (self._meter.used_up() if self._meter is not None else never)

    def release(self) -> None:
        """Free a line of a trunk, where it has one."""
        over, self._over = self._over, _nothing
        over()


def _nothing() -> None:
    """Freed already."""


async def _leave(call: SipCall, failure: Failure | None) -> None:
    """CANCEL or BYE, with what went wrong in a Reason header (RFC 3326)."""
    if failure is None:
        await call.hang_up()
    else:
        await call.hang_up(_phrase(failure.reason), failure.status)


def _phrase(reason: str) -> str:
    """A sentence as a reason phrase: one line of ASCII."""
    return _UNPRINTABLE.sub("?", reason)[:MAX_REASON_CHARACTERS]
