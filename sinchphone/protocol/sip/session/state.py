"""What an INVITE session remembers, and what its rows are made of: send, reply, tell, ask, leave (RFC 3261 12-15)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from sinchphone.protocol.sip.bodies import SDP
from sinchphone.protocol.sip.digest import Answering, Credentials
from sinchphone.protocol.sip.message import MAX_FORWARDS, HeaderLines, Request, Response
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.dialog import Dialog
from sinchphone.protocol.sip.session.timer import SessionTimer
from sinchphone.protocol.sip.session.vocabulary import Effect, SipEvent, SipPhase
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.protocol.sip.uri import SipAddress, SipUri, quoted
from sinchphone.quick_dataclass import quick_dataclass

ALLOW: Final = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, NOTIFY, REFER"
SUPPORTED: Final = "100rel, timer, replaces"
RING_SECONDS: Final = 180.0  # until an INVITE is answered
SESSION_SECONDS: Final = 1800  # RFC 4028
REMIND_SECONDS: Final = 60.0  # a proxy forgets an INVITE after 3 minutes without a provisional response (RFC 3261 13.3.1.1)
MAX_REASON_CHARACTERS: Final = 128
ELSEWHERE: Final = "Call completed elsewhere"  # the words of RFC 3326 4.1
NO_DESCRIPTION: Final = 'SIP;cause=488;text="no session description"'  # a Reason header (RFC 3326)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What sessions have in common. ``new_token`` makes 16 and more characters that can't be guessed; ``chance`` a number from 0 to 1."""

    new_token: Callable[[], str]
    chance: Callable[[], float]
    timing: Timing = field(default_factory=Timing)
    ring_seconds: float = RING_SECONDS
    session_seconds: int = SESSION_SECONDS  # 0: no timer
    user_agent: str = "sinchphone"
    redirects: int = 5  # Contacts of 3xx that are tried
    may_follow: Callable[[SipUri], bool] = lambda _: True  # whether a 3xx may send us there


@dataclass(slots=True)
class Pending:
    """A request of ours that has no final response yet."""

    purpose: str
    request: Request
    dialog: Dialog | None = None
    headers: HeaderLines = ()
    tries: int = 0


@dataclass(slots=True)
class EarlyDialog:
    """A dialog that a provisional response made."""

    dialog: Dialog
    rseq: int | None = None
    sdp: str | None = None
    answer: str | None = None  # the first description that came reliably: it answers our offer, whatever follows (RFC 3261 13.2.1)


@dataclass(slots=True)
class Repeated:
    """A response of ours that is sent again and again until it's acknowledged: by ACK, or by PRACK where ``rseq`` is set."""

    key: str
    response: Response
    interval: float
    next_at: float
    until: float
    rseq: int | None = None
    asks: bool = False  # it holds our offer, its ACK or PRACK the answer


@dataclass(slots=True)
class Proposal:
    """A change of the sound that isn't settled: ours (``serial``) or theirs (``key``)."""

    until: float
    sdp: str | None
    serial: int | None = None
    key: str | None = None
    request: Request | None = None


@dataclass(slots=True)
class Referral:
    """The peer's REFER that isn't settled. ``event`` names the subscription that it made; without one it isn't told anything (RFC 4488)."""

    event: str | None
    until: float


@dataclass(slots=True)
class SessionTransfers:
    """What either side wants the other one to do about calling somebody else."""

    cseq: int | None = None  # of our REFER, until it is known what came of it
    wanted: v.SendRefer | None = None  # ours, that waits for the ACK
    referral: Referral | None = None  # what the peer's REFER asked for, until it knows what came of it
    referrals: int = 0


class SessionState:
    """The state of one session. Effects are gathered in the order in which they are to be performed."""

    def __init__(self, options: SessionOptions, *, call_id: str, credentials: Credentials | None = None) -> None:
        self.options = options
        self.call_id = call_id
        self.phase = SipPhase.NEW
        self.outbound = False
        self.tag = options.new_token()
        self.now = 0.0
        self.ignored = 0  # inputs that had no row
        self.dialog: Dialog | None = None
        self.answering = Answering(credentials, options.new_token)
        self.timer = SessionTimer(options.session_seconds)
        self.pending: dict[int, Pending] = {}
        self.accepted: dict[int, Pending] = {}  # INVITEs with a 2xx
        self.until: float | None = None  # of the phase
        self.local_sdp: str | None = None
        self.remote_sdp: str | None = None
        self.answered_offer: str | None = None  # the peer's, where ``local_sdp`` is our answer to it
        self.proposal: Proposal | None = None
        self.repeated: Repeated | None = None  # a 2xx that waits for its ACK
        self.acks: dict[tuple[str, int], Request] = {}  # of 2xx, by the peer's tag and CSeq
        self.peer_allows: set[str] = set()
        self.retry_at: float | None = None  # our change, after a 491
        self.retries = 0
        self.doubt = ""  # whether the peer is still there
        self.unreachable = 0  # questions about that in a row which the network didn't take
        self.transfers = SessionTransfers()
        self.is_told = False  # the last event is out
        # of a caller
        self.target = SipUri("sip", None, "invalid")
        self.caller = SipAddress(self.target)
        self.callee = SipAddress(self.target)
        self.route: tuple[SipAddress, ...] = ()
        self.extra: HeaderLines = ()
        self.max_forwards = MAX_FORWARDS
        self.early: dict[str, EarlyDialog] = {}
        self.tried: list[SipUri] = []
        self.waiting_targets: list[SipUri] = []
        self.moved: list[SipAddress] = []  # targets that we may not turn to ourselves
        self.is_cancelled = False
        self.reason = ""  # of our hanging up: a Reason header's value
        self.cseq = 0
        # of a callee
        self.invite_key = ""
        self.invite: Request | None = None
        self.reliable: Repeated | None = None
        self.queue: list[tuple[int, str | None]] = []  # provisional responses that wait for the PRACK of the one before
        self.rseq = 0
        self.is_sdp_sent = False  # reliably: the 200 has none then
        self.wanted_answer: str | None = None
        self.reminder: Response | None = None
        self.remind_at: float | None = None
        self._serial = 0
        self.effects: list[Effect] = []

    @property
    def deadline(self) -> float | None:
        """When ``Elapsed`` is due. None only while talking without a timer, before the start, and when over."""
        due = [self.until, self.remind_at, self.retry_at]
        due += [one.next_at for one in (self.repeated, self.reliable) if one is not None]
        if self.proposal is not None:
            due.append(self.proposal.until)
        if self.phase is SipPhase.TALKING:
            due += [None if self.is_changing else self.timer.refresh_at, self.timer.ends_at]
            due.append(self.transfers.referral.until if self.transfers.referral is not None else None)
        return min((one for one in due if one is not None), default=None)

    @property
    def is_changing(self) -> bool:
        """Whether a change of the sound is under way, either side's."""
        return (
            self.proposal is not None
            or self.repeated is not None
            or any(one.purpose == "refresh" and one.request.method == "INVITE" for one in self.pending.values())
        )

    # What the functions of the rows are made of.

    def effect(self, effect: Effect) -> None:
        """Add an effect."""
        self.effects.append(effect)

    def enter(self, phase: SipPhase, until: float | None = None) -> None:
        """Go to another phase."""
        self.phase, self.until = phase, until
        if phase is not SipPhase.INCOMING:
            self.reliable = None if phase is not SipPhase.ACCEPTED else self.reliable
            self.remind_at, self.queue = None, []
        if phase in (SipPhase.OVER, SipPhase.LEAVING):
            self.retry_at = None
            if self.proposal is not None:
                self.proposal = None
                self.effect(v.ReofferDone(None, 487))
        if phase is SipPhase.OVER:
            self.repeated = None

    def tell(self, event: SipEvent) -> None:
        """Tell the user, but nothing after the last event."""
        if self.is_told:
            return
        self.is_told = isinstance(event, v.Refused | v.SipEnded)
        if self.is_told and self.transfers.wanted is not None:
            self.transfers.wanted = None
            self.effect(v.ReferDone(481, "the call is over"))
        self.effect(v.Notify(event))

    def reply(self, key: str, response: Response) -> None:
        """Answer a request."""
        self.effect(v.Reply(key, response))

    def send(self, request: Request, pending: Pending) -> int:
        """Send a request of ours with what it needs; its number."""
        self._serial += 1
        headers = self.answering.headers(request.method, request.uri, request.body)
        whole = replace(request, headers=(*request.headers, ("User-Agent", self.options.user_agent), *headers))
        pending.request = whole
        self.pending[self._serial] = pending
        hop = pending.dialog.next_uri if pending.dialog else self.route[0].uri if self.route else whole.uri
        self.effect(v.SendRequest(self._serial, whole, hop, in_dialog=pending.dialog is not None))
        return self._serial

    def ask(
        self, purpose: str, method: str, headers: HeaderLines = (), *, dialog: Dialog | None = None, sdp: str | None = None, tries: int = 0
    ) -> int:
        """Send a request in a dialog."""
        dialog = dialog or self.dialog
        assert dialog is not None  # every phase in which something is asked has one
        request = dialog.request(method, headers)
        if sdp is not None:
            request = request.with_body(SDP, sdp.encode())
        return self.send(request, Pending(purpose, request, dialog, headers, tries))

    def ask_again(self, pending: Pending, response: Response) -> int | None:
        """Repeat a challenged request in its dialog with credentials; None where that's of no use."""
        if response.status not in (401, 407) or pending.dialog is None or not self.answering.take(response, pending.request, pending.tries):
            return None
        request = pending.dialog.request(pending.request.method, pending.headers)
        request = replace(request, headers=_with_type(request.headers, pending.request), body=pending.request.body)
        return self.send(request, Pending(pending.purpose, request, pending.dialog, pending.headers, pending.tries + 1))

    def acknowledge(self, dialog: Dialog, invite: Request) -> None:
        """ACK a 2xx: a request by itself, with the credentials of the INVITE (RFC 3261 13.2.2.4, 22.1). The same one for repeats."""
        name = (dialog.remote_tag, invite.cseq.number)
        if name not in self.acks:
            credentials = tuple((key, value) for key, value in invite.headers if key in ("Authorization", "Proxy-Authorization"))
            self.acks[name] = dialog.request("ACK", credentials, number=invite.cseq.number)
        self.effect(v.SendAck(self.acks[name], dialog.next_uri))

    def leave(self, reason: str = "", *, dialog: Dialog | None = None) -> None:
        """Send BYE and wait for its answer. A callee's BYE waits for the ACK of the first 200 (RFC 3261 15)."""
        until = self.now + self.options.timing.give_up
        self.reason = reason
        if self.repeated is not None and self.phase is SipPhase.ACCEPTED:
            self.enter(SipPhase.LEAVING, until + self.options.timing.give_up)
            return
        self.repeated = None
        self.enter(SipPhase.LEAVING, until)
        self.ask("bye", "BYE", (("Reason", reason),) if reason else (), dialog=dialog)

    def repeat_until_acknowledged(self, key: str, response: Response, *, rseq: int | None = None, asks: bool = False) -> Repeated:
        """Send a response now and again until its ACK or PRACK (RFC 3261 13.3.1.4, RFC 3262 3)."""
        t1 = self.options.timing.t1
        self.reply(key, response)
        return Repeated(key, response, t1, self.now + t1, self.now + self.options.timing.give_up, rseq, asks)

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog that a request of the peer belongs to."""
        tag = request.sender.tag
        known = [self.dialog, *(one.dialog for one in self.early.values())]
        return next((one for one in known if one is not None and one.remote_tag == tag), None)


def reason_value(text: str, status: int | None = None) -> str:
    """A Reason header (RFC 3326) for what a user says, and for what went wrong in SIP's numbers; empty for nothing. Phones don't count as
    missed what was answered elsewhere."""
    if not text and status is None:
        return ""
    cause = 200 if text.lower() == ELSEWHERE.lower() else status
    said = f";text={quoted(text[:MAX_REASON_CHARACTERS])}" if text else ""
    return f"SIP{'' if cause is None else f';cause={cause}'}{said}"


def _with_type(headers: HeaderLines, request: Request) -> HeaderLines:
    return (*headers, *((key, value) for key, value in request.headers if key == "Content-Type"))
