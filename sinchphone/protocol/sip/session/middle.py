"""The rows of either side once there is a dialog: changes of the sound, refreshes, digits, BYE (RFC 3261 12.2, 14, 15; RFC 3311, 4028)."""

from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.bodies import ACCEPTED, SDP
from sinchphone.protocol.sip.message import HeaderLines, Request, Response, respond
from sinchphone.protocol.sip.session import callee as session_callee
from sinchphone.protocol.sip.session import caller as session_caller
from sinchphone.protocol.sip.session import dtmf_info
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.dialog import Dialog
from sinchphone.protocol.sip.session.state import ALLOW, SUPPORTED, Pending, Proposal, SessionState, reason_value
from sinchphone.protocol.sip.session.timer import MIN_SECONDS
from sinchphone.protocol.sip.session.vocabulary import SipPhase

MAX_RETRIES: Final = 5  # of a change that meets another
CHANGE_SECONDS: Final = 60.0  # for a change to be answered: somebody may be asked
UNREACHABLE_TWICE: Final = 2
_SAYS: Final = {408: "doesn't answer any more", 481: "knows of no call any more", 503: "can't be reached any more"}
_LOST: Final = (408, 481)  # the peer knows nothing of the call any more (RFC 3261 12.2.1.2)


def hang_up(session: SessionState, order: v.SipHangUp) -> None:
    """BYE."""
    session.tell(v.SipEnded(order.reason or "hung up"))
    _refuse_proposal(session, 487)
    session.leave(reason_value(order.reason, order.status))


def on_bye(session: SessionState, key: str, request: Request, _: Dialog) -> None:
    """The peer hangs up."""
    if session.phase is SipPhase.INCOMING:
        session_callee.end_early(session, key, request)
        return
    if session.phase in (SipPhase.CALLING, SipPhase.PROCEEDING, SipPhase.WITHDRAWING):
        session.reply(key, respond(request, 481))  # a callee refuses an INVITE instead
        return
    session.reply(key, respond(request, 200))
    _refuse_proposal(session, 487)
    reason, status = session_callee.read_reason(request, networks=True)
    session.enter(SipPhase.OVER)
    session.tell(v.SipEnded(reason or "the other side hung up", status))


def bye_response(session: SessionState, _serial: int, pending: Pending, response: Response) -> None:
    """The answer to our BYE; whatever it is, the call is over."""
    if not response.is_provisional and session.ask_again(pending, response) is None:
        session.enter(SipPhase.OVER)


def quiet_response(session: SessionState, _serial: int, pending: Pending, response: Response) -> None:
    """The answer to a PRACK, or to the BYE of a call that never was."""
    if not response.is_provisional:
        session.ask_again(pending, response)


def left_after_all(session: SessionState, event: v.GotAck) -> None:
    """The ACK that our BYE waited for."""
    if session.repeated is not None and event.request.cseq.number == session.repeated.response.cseq.number:
        session.repeated = None
        session.leave(session.reason)


# Changes that we offer.


def change(session: SessionState, order: v.Reoffer) -> None:
    """A re-INVITE."""
    if session.is_changing:
        session.effect(v.ReofferDone(None, 491))
        return
    session.proposal = Proposal(session.now + CHANGE_SECONDS, order.sdp)
    _send_change(session, order.sdp, "reinvite", 0)


def change_later(session: SessionState, order: v.Reoffer) -> None:
    """A re-INVITE once our answer is acknowledged: before, the peer would refuse it."""
    if session.proposal is not None:
        session.effect(v.ReofferDone(None, 491))
        return
    session.proposal = Proposal(session.now + CHANGE_SECONDS, order.sdp)


def change_response(session: SessionState, serial: int, pending: Pending, response: Response) -> None:
    """The answer to our re-INVITE."""
    if response.is_provisional:
        return
    if response.is_success:
        _changed(session, pending, response)
        return
    if session.phase is not SipPhase.TALKING or session.proposal is None or session.proposal.serial != serial:
        return
    if (again := session.ask_again(pending, response)) is not None:
        session.proposal.serial = again
    elif (wait := _comes_back_in(session, response)) is not None and pending.tries < MAX_RETRIES:
        session.proposal.serial = None
        session.retry_at = session.now + wait
        session.retries = pending.tries + 1
    else:
        session.proposal = None
        session.effect(v.ReofferDone(None, response.status))
        _end_if_lost(session, response.status)


def retry_change(session: SessionState) -> None:
    """Our change after an ACK, or again after a 491; the peer's own may be settled by now."""
    if session.retry_at is None or session.now < session.retry_at:
        return
    session.retry_at = None
    if session.proposal is not None and session.proposal.sdp is not None and session.phase is SipPhase.TALKING:
        _send_change(session, session.proposal.sdp, "reinvite", session.retries)


def _send_change(session: SessionState, sdp: str, purpose: str, tries: int) -> None:
    headers = (("Allow", ALLOW), ("Supported", SUPPORTED), *session.timer.asking())
    serial = session.ask(purpose, "INVITE", headers, sdp=sdp, tries=tries)
    if session.proposal is not None:
        session.proposal.serial = serial


def _changed(session: SessionState, pending: Pending, response: Response) -> None:
    """The 2xx to a re-INVITE: ACK, whatever the phase; it repeats until it has one."""
    if pending.dialog is None:
        return
    is_new = (pending.dialog.remote_tag, pending.request.cseq.number) not in session.acks
    session.acknowledge(pending.dialog, pending.request)
    if not is_new or session.phase is not SipPhase.TALKING:
        return
    pending.dialog.refresh_target(response)
    session.timer.agreed(response, session.now)
    sdp, before = response.sdp, session.remote_sdp
    session.remote_sdp = sdp or before
    if session.proposal is not None and session.proposal.serial is not None:
        session.local_sdp, session.answered_offer = session.proposal.sdp or session.local_sdp, None
        session.proposal = None
        session.effect(v.ReofferDone(sdp))
    elif sdp is not None and before is not None and _without_origin(sdp) != _without_origin(before):
        session.answered_offer = None
        session.tell(v.SipAnswerChanged())


def _without_origin(sdp: str) -> list[str]:
    """The lines of a description but for its version, which some raise with every answer."""
    return [line for line in sdp.splitlines() if not line.startswith("o=")]


def _comes_back_in(session: SessionState, response: Response) -> float | None:
    """How long to wait before our change is offered again; ``None`` where it's refused. 491: the peer has one too. 500 with Retry-After:
    it isn't ready yet, as when our ACK got lost (RFC 3261 14.2)."""
    if response.status == 491:
        return _glare_seconds(session)
    told = response.number("Retry-After") if response.status == 500 else None
    if told is None or session.proposal is None or session.now + told >= session.proposal.until:
        return None
    return max(float(told), _glare_seconds(session))


def _glare_seconds(session: SessionState) -> float:
    """How long to wait after a 491: the owner of the Call-ID the longer (RFC 3261 14.1)."""
    steps = 2.1 + 1.9 * session.options.chance() if session.outbound else 2.0 * session.options.chance()
    return round(steps, 2)


# Changes that the peer offers.


def on_invite(session: SessionState, key: str, request: Request, dialog: Dialog) -> None:
    """A re-INVITE."""
    if session.phase is not SipPhase.TALKING:
        session.reply(key, respond(request, 500, headers=(("Retry-After", "2"),)))
        return
    _consider(session, key, request, dialog)


def on_update(session: SessionState, key: str, request: Request, dialog: Dialog) -> None:
    """UPDATE: a change without ACK, also before the answer (RFC 3311)."""
    if session.phase not in (SipPhase.INCOMING, SipPhase.PROCEEDING, SipPhase.TALKING):
        session.reply(
            key,
            respond(request, 481 if session.phase in (SipPhase.LEAVING, SipPhase.WITHDRAWING) else 500, headers=(("Retry-After", "2"),)),
        )
        return
    if request.sdp is not None and not _is_first_answered(session, request):
        session.reply(key, respond(request, 491))  # the first offer isn't answered yet
        return
    _consider(session, key, request, dialog)


def _is_first_answered(session: SessionState, request: Request) -> bool:
    """Whether the first offer has its reliable answer: only then may another be made."""
    match session.phase:
        case SipPhase.INCOMING:
            return session.remote_sdp is not None and session.is_sdp_sent and session.reliable is None
        case SipPhase.PROCEEDING:
            early = session.early.get(request.sender.tag)
            return early is not None and early.rseq is not None and early.sdp is not None
        case _:
            return True


def _consider(session: SessionState, key: str, request: Request, dialog: Dialog) -> None:
    if request.has_unknown_body:
        session.reply(key, respond(request, 415, headers=(("Accept", ACCEPTED),)))
    elif session.proposal is not None and session.proposal.key is not None:
        session.reply(key, respond(request, 500, headers=(("Retry-After", str(1 + int(9 * session.options.chance()))),)))
    elif session.is_changing and (request.method == "INVITE" or request.sdp is not None):
        session.reply(key, respond(request, 491))
    elif session.timer.is_too_short(request):
        session.reply(key, respond(request, 422, headers=(("Min-SE", str(MIN_SECONDS)),)))
    elif request.sdp is None and request.method == "UPDATE":
        _accept_change(session, key, request, dialog, None)
    elif request.sdp is not None and request.sdp == session.answered_offer and session.local_sdp is not None:
        _accept_change(session, key, request, dialog, session.local_sdp)  # a refresh: nothing changes
    else:
        session.proposal = Proposal(session.now + CHANGE_SECONDS, request.sdp, key=key, request=request)
        session.tell(v.SipReoffered(request.sdp))


def answer_change(session: SessionState, order: v.AnswerReoffer) -> None:
    """200 with our description."""
    proposal = session.proposal
    dialog = session.dialog_of(proposal.request) if proposal is not None and proposal.request is not None else None
    if proposal is None or proposal.key is None or proposal.request is None or dialog is None or session.repeated is not None:
        session.ignored += 1
        session.effect(v.ReofferDone(None, 481))
        return
    if proposal.sdp is not None:
        session.proposal = None
        session.remote_sdp = proposal.sdp
    session.local_sdp, session.answered_offer = order.sdp, proposal.sdp
    _accept_change(session, proposal.key, proposal.request, dialog, order.sdp)


def refuse_change(session: SessionState, order: v.RefuseReoffer) -> None:
    """A refusal; the sound stays as it is."""
    _refuse_proposal(session, order.status)


def change_confirmed(session: SessionState, event: v.GotAck) -> None:
    """The ACK of our 200 to a re-INVITE."""
    done = session.repeated
    if done is None or event.request.cseq.number != done.response.cseq.number:
        return
    session.repeated = None
    if not done.asks:
        return
    session.proposal = None
    session.remote_sdp = event.request.sdp or session.remote_sdp
    session.effect(v.ReofferDone(event.request.sdp, 200 if event.request.sdp else 488))


def change_cancelled(session: SessionState, event: v.GotCancel) -> None:
    """The peer took its re-INVITE back."""
    if session.proposal is not None and session.proposal.key == event.key and session.repeated is None:
        _refuse_proposal(session, 487)


def _accept_change(session: SessionState, key: str, request: Request, dialog: Dialog, sdp: str | None) -> None:
    timer = session.timer.answering(request, session.now)
    dialog.refresh_target(request)
    response = respond(request, 200, headers=(("Allow", ALLOW), ("Supported", SUPPORTED), *timer))
    if sdp is not None:
        response = response.with_body(SDP, sdp.encode())
    if request.method == "INVITE":
        session.repeated = session.repeat_until_acknowledged(key, response, asks=request.sdp is None)
    else:
        session.reply(key, response)


def _refuse_proposal(session: SessionState, status: int) -> None:
    """Refuse the peer's change, or give ours up."""
    proposal, session.proposal = session.proposal, None
    if proposal is None:
        return
    if proposal.key is not None and proposal.request is not None:
        if session.repeated is None or session.repeated.key != proposal.key:
            session.reply(proposal.key, respond(proposal.request, status))
    else:
        session.retry_at = None
        session.effect(v.ReofferDone(None, status))


def end_proposal(session: SessionState) -> None:
    """A change that nobody settles."""
    proposal = session.proposal
    if proposal is None or session.now < proposal.until:
        return
    if proposal.serial is not None and session.phase is SipPhase.TALKING:
        session.effect(v.CancelRequest(proposal.serial))
    _refuse_proposal(session, 408 if proposal.key is None else 500)


# Refreshes, digits, questions.


def keep_alive(session: SessionState) -> None:
    """Refresh the session, or end it where the peer didn't (RFC 4028 7.2, 10)."""
    if session.phase is not SipPhase.TALKING:
        return
    if session.timer.ends_at is not None and session.now >= session.timer.ends_at:
        session.tell(v.SipEnded("the session expired", 408))
        _refuse_proposal(session, 487)
        session.leave('SIP;cause=408;text="session expired"')
    elif session.timer.refresh_at is not None and session.now >= session.timer.refresh_at and not session.is_changing:
        _refresh(session)


def _refresh(session: SessionState) -> None:
    if "update" in session.peer_allows or session.local_sdp is None:
        session.ask("refresh", "UPDATE", (("Supported", SUPPORTED), *session.timer.asking()))
    else:
        _send_change(session, session.local_sdp, "refresh", 0)


def refresh_response(session: SessionState, _serial: int, pending: Pending, response: Response) -> None:
    """The answer to our refresh."""
    if response.is_provisional:
        return
    if response.is_success:
        if pending.request.method == "INVITE":
            _changed(session, pending, response)
        elif session.phase is SipPhase.TALKING and pending.dialog is not None:
            pending.dialog.refresh_target(response)
            session.timer.agreed(response, session.now)
        return
    if session.phase is not SipPhase.TALKING or session.ask_again(pending, response) is not None:
        return
    if response.status == 422:
        session.timer.raise_to(response)
    if response.status in (405, 501):
        session.peer_allows.discard("update")
    session.timer.failed(session.now)
    _end_if_lost(session, response.status)


def send_digit(session: SessionState, order: v.SendDigit) -> None:
    """INFO."""
    request_body = dtmf_info.write_digit(order.digit, order.duration_ms)
    assert session.dialog is not None  # talking
    request = session.dialog.request("INFO").with_body(dtmf_info.RELAY, request_body)
    session.send(request, Pending("info", request, session.dialog))


def digit_response(session: SessionState, _serial: int, pending: Pending, response: Response) -> None:
    """The answer to our INFO."""
    if response.is_provisional or (session.phase is SipPhase.TALKING and session.ask_again(pending, response) is not None):
        return
    session.effect(v.DigitDone(response.status))
    if response.status == 481:
        _end_if_lost(session, 481)


def on_info(session: SessionState, key: str, request: Request, _: Dialog) -> None:
    """A digit; an empty INFO asks whether we are there."""
    if not request.body.strip():
        session.reply(key, respond(request, 200))
        return
    if request.content_type not in (dtmf_info.RELAY, dtmf_info.PLAIN):
        session.reply(key, respond(request, 415, headers=(("Accept", f"{dtmf_info.RELAY}, {dtmf_info.PLAIN}"),)))
        return
    try:
        digit, duration = dtmf_info.read_digit(request.content_type, request.body)
    except RemoteProtocolError:
        session.reply(key, respond(request, 400))
        return
    session.reply(key, respond(request, 200))
    session.tell(v.SipDigitHeard(digit, duration))


def probe(session: SessionState, order: v.DialogProbe) -> None:
    """OPTIONS in the dialog (RFC 3261 11, 12.2): one at a time."""
    session.doubt = order.doubt
    if not any(one.purpose == "probe" for one in session.pending.values()):
        session.ask("probe", "OPTIONS", (("Accept", SDP),))


def probe_response(session: SessionState, _serial: int, pending: Pending, response: Response) -> None:
    """Who answers at all is there, unless it says that it knows of no call. That the network takes nothing says little about the peer,
    for once."""
    if response.is_provisional or session.phase is not SipPhase.TALKING or session.ask_again(pending, response) is not None:
        return
    session.unreachable = session.unreachable + 1 if response.status == 503 else 0
    if response.status in _LOST or session.unreachable >= UNREACHABLE_TWICE:
        session.tell(v.SipEnded(f"{session.doubt}, and the other side {_SAYS.get(response.status, 'is gone')}", 408))
        session.leave(reason_value(session.doubt, 408))


def on_options(session: SessionState, key: str, request: Request, _: Dialog) -> None:
    """What we can do."""
    session.reply(key, respond(request, 200, headers=abilities()))


def abilities() -> HeaderLines:
    """Headers that say what we can do (RFC 3261 11.2)."""
    return (
        ("Allow", ALLOW),
        ("Supported", SUPPORTED),
        ("Accept", f"{ACCEPTED}, {dtmf_info.RELAY}"),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "en"),
    )


def end_phase(session: SessionState) -> None:
    """The phase has lasted for as long as it may."""
    if session.until is None or session.now < session.until:
        return
    match session.phase:
        case SipPhase.CALLING | SipPhase.PROCEEDING:
            session_caller.rang_out(session)
        case SipPhase.INCOMING:
            session_callee.rang_out(session)
        case _:
            session.enter(SipPhase.OVER)


def _end_if_lost(session: SessionState, status: int) -> None:
    if status in _LOST and session.phase is SipPhase.TALKING:
        session.tell(v.SipEnded("the other side has lost the call", status))
        session.leave()
