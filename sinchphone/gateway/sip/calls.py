"""One call over SIP, as the gateway sees it: orders as methods, what happens as events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from sinchphone.errors import SinchphoneError
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.protocol.call.transfer_events import NO_TRANSFER_NEWS
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.protocol.sip.message import MAX_FORWARDS
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.vocabulary import (
    Refused,
    SipAnswerChanged,
    SipAnswered,
    SipDigitHeard,
    SipEarly,
    SipEnded,
    SipEvent,
    SipReferred,
    SipReoffered,
    SipRinging,
)
from sinchphone.protocol.sip.uri import SipAddress, SipUri
from sinchphone.quick_dataclass import quick_dataclass

__all__ = [
    "Refused",
    "SipAnswerChanged",
    "SipAnswered",
    "SipCall",
    "SipDigitHeard",
    "SipEarly",
    "SipEnded",
    "SipError",
    "SipEvent",
    "SipReferred",
    "SipReoffered",
    "SipRinging",
    "SipTarget",
]

REFER_SECONDS: Final = 80.0  # for the other side's call to be answered
MAX_EVENTS: Final = 256  # not yet read: more means that nobody reads


class SipError(SinchphoneError):
    """The other side refused something in a call. ``status`` is SIP's number for why."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@quick_dataclass(frozen=True, slots=True)
class SipTarget:
    """Whom to call. ``hop``: where that phone registered from, which is the only way to one behind a NAT, unless there is a ``route``:
    the proxies through which it's reached (``;lr``)."""

    uri: SipUri
    hop: Hop | None = None
    route: tuple[SipAddress, ...] = ()


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SipCallFacts:
    """What is known of a call from its start."""

    call_id: str
    outbound: bool
    remote: SipAddress  # who calls us, by a trusted peer's word or the caller's own, or whom we call
    target: SipUri  # whom the INVITE asks for
    user: str | None = None  # who proved to be calling
    trunk: str | None = None  # the trunk that the call came from or goes to
    offer: str | None = None
    replaces: ReplacedDialog | None = None  # the call that it takes the place of
    headers: Mapping[str, str]  # x-... only
    source: Hop | None = None  # where the INVITE came from
    encrypted: bool = False  # the sound must be: plain RTP is to be refused
    diversions: int = 0  # how often it was sent on before it came here
    max_forwards: int = MAX_FORWARDS  # how often it may still be passed on; 0: not at all (483)


class SipCall:
    """One call, either direction. Orders that come too late do nothing: the events say how the call ended."""

    def __init__(self, facts: SipCallFacts, order: Callable[[v.Order], None]) -> None:
        """``order`` hands an order to the agent."""
        self.facts = facts
        self.heard_from = facts.source  # where the INVITE, or the last answer to one of ours, came from
        self._order = order
        self._events: asyncio.Queue[SipEvent | None] = asyncio.Queue()
        self._is_over = False
        self._reoffer: asyncio.Future[str | None] | None = None
        self._referred: asyncio.Future[tuple[int, str]] | None = None

    @property
    def id(self) -> str:
        """Call-ID."""
        return self.facts.call_id

    @property
    def outbound(self) -> bool:
        """Whether we call."""
        return self.facts.outbound

    @property
    def remote(self) -> SipAddress:
        """The other side, as From or To names it; a caller from a trusted peer as that asserts it."""
        return self.facts.remote

    @property
    def target(self) -> SipUri:
        """Whom the INVITE asks for (Request-URI)."""
        return self.facts.target

    @property
    def user(self) -> str | None:
        """The user who proved to be calling, by password."""
        return self.facts.user

    @property
    def trunk(self) -> str | None:
        """The trunk's name."""
        return self.facts.trunk

    @property
    def offer(self) -> str | None:
        """The description in the INVITE; without one we offer, in ``early`` or ``answer``."""
        return self.facts.offer

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the INVITE whose names begin with ``x-``, in lower case."""
        return self.facts.headers

    @property
    def is_over(self) -> bool:
        """Whether the last event is out."""
        return self._is_over

    async def events(self) -> AsyncIterator[SipEvent]:
        """What happens, in order; exactly one Refused or Ended is the last. One reader."""
        while (event := await self._events.get()) is not None:
            yield event

    async def ring(self) -> None:
        """180."""
        self._order(v.SipRing())

    async def early(self, sdp: str) -> None:
        """183 with our description; reliable where the peer supports that (RFC 3262)."""
        self._order(v.SendEarly(sdp))

    async def answer(self, sdp: str) -> None:
        """200 with our description."""
        self._order(v.SipAnswer(sdp))

    async def refuse(self, status: int, reason: str = "", *, retry_after_s: int | None = None) -> None:
        """End an incoming call that isn't answered; what is no refusal is a 500. ``retry_after_s``: when the caller may try again."""
        self._order(v.SipRefuse(status if 300 <= status < 700 else 500, reason, retry_after_s))

    async def hang_up(self, reason: str | None = None, status: int | None = None) -> None:
        """CANCEL, BYE or a refusal, whichever fits. ``reason`` and ``status`` go into a Reason header (RFC 3326)."""
        self._order(v.SipHangUp(reason or "", status))

    async def reoffer(self, sdp: str) -> str:
        """Offer a change, wait for the answer. Raises SipError with the status where it's refused; the sound then stays as it was."""
        answer = await self._exchange(v.Reoffer(sdp))
        if answer is None:
            raise SipError("the other side answered without a description", status=488)
        return answer

    async def answer_reoffer(self, sdp: str, *, offered: bool = True) -> str | None:
        """Answer a Reoffered. Where that had no description (``offered`` False), ``sdp`` is our offer, and its answer is returned.

        Raises SipError where the other side doesn't answer our offer.
        """
        if offered:
            self._order(v.AnswerReoffer(sdp))
            return None
        return await self._exchange(v.AnswerReoffer(sdp))

    async def refuse_reoffer(self, status: int = 488) -> None:
        """Refuse a Reoffered; the sound stays as it is."""
        self._order(v.RefuseReoffer(status))

    async def send_digit(self, digit: str, duration_ms: int = 160) -> None:
        """A digit in an INFO (``application/dtmf-relay``), for peers without telephone-events."""
        self._order(v.SendDigit(digit, duration_ms))

    async def refer(self, target: str) -> None:
        """Ask the other side to call that URI instead; returns when it's answered there. Raises SipError where it isn't."""
        if self._is_over or self._referred is not None:
            raise SipError("the call is over, or another transfer under way", status=481 if self._is_over else 491)
        waiting = self._referred = asyncio.get_running_loop().create_future()
        try:
            self._order(v.SendRefer(target))
            async with asyncio.timeout(REFER_SECONDS):
                status, reason = await waiting
        except TimeoutError as error:
            raise SipError(NO_TRANSFER_NEWS, status=408) from error
        finally:
            self._referred = None
        if status >= 300:
            raise SipError(reason or f"SIP {status}", status=status)

    async def tell_refer(self, status: int, reason: str = "") -> None:
        """How the call goes that a SipReferred asked for; from 200 on that's the last word."""
        self._order(v.ReferNews(status, reason))

    def settle_refer(self, status: int, reason: str) -> None:
        """For the agent: what came of the transfer."""
        if self._referred is not None and not self._referred.done():
            self._referred.set_result((status, reason))

    async def probe(self, doubt: str) -> None:
        """Ask whether the other side is still there; where it isn't, the call ends. Doesn't wait for the answer."""
        self._order(v.DialogProbe(doubt))

    def notify(self, event: SipEvent) -> None:
        """For the agent: an event of the session."""
        if self._is_over:
            return
        last = isinstance(event, Refused | SipEnded)
        if last or self._events.qsize() < MAX_EVENTS:
            self._events.put_nowait(event)
        if last:
            self._is_over = True
            self._events.put_nowait(None)
            self.settle(None, 487)
            self.settle_refer(202, "")  # it has left, for the other call as it seems

    def settle(self, sdp: str | None, status: int) -> None:
        """For the agent: a change was answered or refused."""
        waiting, self._reoffer = self._reoffer, None
        if waiting is None or waiting.done():
            return
        if status < 300:
            waiting.set_result(sdp)
        else:
            waiting.set_exception(SipError("the other side refused the change", status=status))

    async def _exchange(self, order: v.Order) -> str | None:
        if self._is_over:
            raise SipError("the call is over", status=481)
        if self._reoffer is not None:
            raise SipError("another change is waiting for its answer", status=491)
        waiting: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._reoffer = waiting
        try:
            self._order(order)
            return await waiting
        finally:
            if self._reoffer is waiting:
                self._reoffer = None
