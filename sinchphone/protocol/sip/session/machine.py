"""The INVITE session as a machine: orders and arrivals in, effects out, time as an argument (RFC 3261 13-15, 3262, 3311, 4028).

::

    caller   NEW -> CALLING -1xx-> PROCEEDING -2xx, ACK-> TALKING -> LEAVING -> OVER
                    WITHDRAWING: hung up before the answer. CANCEL follows the first 1xx; a 200 that crosses it is ACKed and BYEd
    callee   INCOMING -200-> ACCEPTED -ACK-> TALKING -> LEAVING -> OVER

This file says which function takes what (``TABLE``, ``RESPONSES``, ``REQUESTS``, ``CLOCKS``). The state is in ``session_state``, the
functions are in ``session_caller``, ``session_callee`` and ``session_middle`` (what either side does once there is a dialog).
What has no row is too late, doubled or hostile, and is ignored or answered with 481.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.message import MAX_FORWARDS, Request, Response, respond
from sinchphone.protocol.sip.session import callee, caller, middle, transfer
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.dialog import Dialog
from sinchphone.protocol.sip.session.state import ALLOW, Pending, SessionOptions, SessionState
from sinchphone.protocol.sip.session.vocabulary import Effect, Input, SipPhase
from sinchphone.protocol.sip.uri import SipAddress, SipUri

Row: TypeAlias = Callable[[SessionState, Any], None]
OnResponse: TypeAlias = Callable[[SessionState, int, Pending, Response], None]
OnRequest: TypeAlias = Callable[[SessionState, str, Request, Dialog], None]

TABLE: Final[dict[tuple[SipPhase, type], Row]] = {
    (SipPhase.NEW, v.SipDial): caller.dial,
    (SipPhase.NEW, v.SipHangUp): caller.never_mind,
    (SipPhase.CALLING, v.SipHangUp): caller.withdraw,
    (SipPhase.PROCEEDING, v.SipHangUp): caller.withdraw,
    (SipPhase.INCOMING, v.SipRing): callee.ring,
    (SipPhase.INCOMING, v.SendEarly): callee.early,
    (SipPhase.INCOMING, v.SipAnswer): callee.answer,
    (SipPhase.INCOMING, v.SipRefuse): callee.refuse,
    (SipPhase.INCOMING, v.SipHangUp): callee.give_up,
    (SipPhase.INCOMING, v.GotCancel): callee.cancelled,
    (SipPhase.INCOMING, v.AnswerReoffer): middle.answer_change,
    (SipPhase.INCOMING, v.RefuseReoffer): middle.refuse_change,
    (SipPhase.PROCEEDING, v.AnswerReoffer): middle.answer_change,
    (SipPhase.PROCEEDING, v.RefuseReoffer): middle.refuse_change,
    (SipPhase.ACCEPTED, v.GotAck): callee.confirmed,
    (SipPhase.ACCEPTED, v.SipHangUp): middle.hang_up,
    (SipPhase.ACCEPTED, v.Reoffer): middle.change_later,
    (SipPhase.TALKING, v.GotAck): middle.change_confirmed,
    (SipPhase.TALKING, v.GotCancel): middle.change_cancelled,
    (SipPhase.TALKING, v.SipHangUp): middle.hang_up,
    (SipPhase.TALKING, v.Reoffer): middle.change,
    (SipPhase.TALKING, v.AnswerReoffer): middle.answer_change,
    (SipPhase.TALKING, v.RefuseReoffer): middle.refuse_change,
    (SipPhase.TALKING, v.SendDigit): middle.send_digit,
    (SipPhase.TALKING, v.DialogProbe): middle.probe,
    (SipPhase.TALKING, v.SendRefer): transfer.refer,
    (SipPhase.ACCEPTED, v.SendRefer): transfer.refer_later,
    (SipPhase.TALKING, v.ReferNews): transfer.tell_refer,
    (SipPhase.LEAVING, v.GotAck): middle.left_after_all,
}

RESPONSES: Final[dict[str, OnResponse]] = {
    "invite": caller.invite_response,
    "prack": middle.quiet_response,
    "reinvite": middle.change_response,
    "refresh": middle.refresh_response,
    "info": middle.digit_response,
    "probe": middle.probe_response,
    "refer": transfer.refer_response,
    "notify": transfer.notify_response,
    "bye": middle.bye_response,
    "stray bye": middle.quiet_response,  # of another branch of a fork
}

REQUESTS: Final[dict[str, OnRequest]] = {
    "BYE": middle.on_bye,
    "INVITE": middle.on_invite,
    "UPDATE": middle.on_update,
    "INFO": middle.on_info,
    "OPTIONS": middle.on_options,
    "NOTIFY": transfer.on_notify,
    "REFER": transfer.on_refer,
    "PRACK": callee.on_prack,
}

CLOCKS: Final[tuple[Callable[[SessionState], None], ...]] = (
    callee.repeat_answer,
    callee.repeat_provisional,
    callee.remind,
    middle.end_proposal,
    middle.retry_change,
    middle.keep_alive,
    transfer.end_referral,
    middle.end_phase,
)


class SipSession(SessionState):
    """One INVITE session. ``handle`` takes one input and returns effects in the order in which they are to be performed."""

    @classmethod
    def outgoing(
        cls,
        options: SessionOptions,
        *,
        call_id: str,
        target: SipUri,
        caller: SipAddress,
        offer: str,
        headers: Mapping[str, str],
        credentials: Credentials | None = None,
        route: tuple[SipAddress, ...] = (),
        max_forwards: int = MAX_FORWARDS,
    ) -> "SipSession":
        """A session that will call ``target``. ``route``: proxies on the way (``;lr``)."""
        session = cls(options, call_id=call_id, credentials=credentials)
        session.outbound = True
        session.target, session.route = target.for_request(), route
        session.callee = SipAddress(target.for_request())
        session.caller = SipAddress(caller.uri, caller.name, (("tag", session.tag),))
        session.extra = tuple(headers.items())
        session.max_forwards = max_forwards
        session.local_sdp = offer
        return session

    @classmethod
    def incoming(cls, options: SessionOptions, key: str, invite: Request, now: float) -> "SipSession":
        """A session that an INVITE asks for; it was let in, and its extensions and body are known to us."""
        session = cls(options, call_id=invite.call_id)
        session.invite_key, session.invite = key, invite
        session.dialog = Dialog.of_callee(invite, session.tag)
        session.peer_allows = invite.tokens("Allow")
        session.remote_sdp = session.answered_offer = invite.sdp
        session.enter(SipPhase.INCOMING, now + options.ring_seconds)
        return session

    def handle(self, event: Input, now: float) -> list[Effect]:
        """Take one input. ``now`` is any clock that doesn't go back [s]. Never raises because of a peer."""
        self.now = now
        self.effects = []
        match event:
            case v.GotResponse(serial, response):
                self._take_response(serial, response)
            case v.GotRequest(key, request):
                self._take_request(key, request)
            case v.SipElapsed():
                self._elapse()
            case _:
                row = TABLE.get((self.phase, type(event)))
                if row is not None:
                    row(self, event)
                else:
                    self._ignore(event)
        return self.effects

    def _take_response(self, serial: int, response: Response) -> None:
        pending = self.pending.get(serial) or self.accepted.get(serial)
        if pending is None:
            self.ignored += 1
            return
        if not response.is_provisional:
            self.pending.pop(serial, None)
            if response.is_success and pending.request.method == "INVITE":
                self.accepted[serial] = pending  # its 2xx may come again, and from others too
        RESPONSES[pending.purpose](self, serial, pending, response)

    def _take_request(self, key: str, request: Request) -> None:
        dialog = self.dialog_of(request)
        if dialog is None or self.phase is SipPhase.OVER:
            self.reply(key, respond(request, 481))
        elif not dialog.is_in_order(request):
            self.reply(key, respond(request, 500, headers=(("Retry-After", "1"),)))
        else:
            row = REQUESTS.get(request.method)
            if row is None:
                self.reply(key, respond(request, 405, headers=(("Allow", ALLOW),)))
            else:
                row(self, key, request, dialog)

    def _elapse(self) -> None:
        for clock in CLOCKS:
            clock(self)

    def _ignore(self, event: Input) -> None:
        self.ignored += 1
        if isinstance(event, v.Reoffer):
            self.effect(v.ReofferDone(None, 481 if self.phase is SipPhase.OVER else 491))
        elif isinstance(event, v.AnswerReoffer):
            self.effect(v.ReofferDone(None, 481))
        elif isinstance(event, v.SendDigit):
            self.effect(v.DigitDone(481))
        elif isinstance(event, v.SendRefer):
            self.effect(v.ReferDone(481, "the call isn't established"))
