"""The caller's rows of a session: INVITE and what comes back, until there is a call or none (RFC 3261 13.2, 8.1.3)."""

from dataclasses import replace
from typing import Final

from sinchphone.errors import MediaError
from sinchphone.protocol.sip.bodies import SDP
from sinchphone.protocol.sip.digest import Answering
from sinchphone.protocol.sip.message import Request, Response
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.dialog import Dialog
from sinchphone.protocol.sip.session.state import ALLOW, NO_DESCRIPTION, SUPPORTED, EarlyDialog, Pending, SessionState, reason_value
from sinchphone.protocol.sip.session.vocabulary import SipPhase
from sinchphone.protocol.sip.uri import SipAddress, SipUri

MAX_EARLY_DIALOGS: Final = 16  # of one INVITE: more branches than a proxy forks to
MAX_REDIRECT_CONTACTS: Final = 8  # of one 3xx
MOVED: Final = (300, 301, 302)  # whose Contacts are to be called instead (RFC 3261 21.3); a 380 describes something else
_MOST_HEADERS: Final = 16  # of a refusal, that are told
NO_ANSWER: Final = "nobody answered in time"


def dial(session: SessionState, _: v.SipDial) -> None:
    """Send the INVITE. Ringing has its limit from here."""
    session.enter(SipPhase.CALLING, session.now + session.options.ring_seconds)
    _invite(session, 0)


def never_mind(session: SessionState, order: v.SipHangUp) -> None:
    """Hung up before it was dialled."""
    session.enter(SipPhase.OVER)
    session.tell(v.SipEnded(order.reason or "hung up"))


def withdraw(session: SessionState, order: v.SipHangUp) -> None:
    """Hung up before the answer."""
    _cancel(session, reason_value(order.reason, order.status))
    session.tell(v.SipEnded(order.reason or "hung up"))


def rang_out(session: SessionState) -> None:
    """It rang for as long as it may."""
    _cancel(session, "")
    session.tell(v.Refused(408, NO_ANSWER))


def invite_response(session: SessionState, serial: int, pending: Pending, response: Response) -> None:
    """A response to the INVITE."""
    if response.is_provisional:
        _provisional(session, serial, pending.request, response)
    elif response.is_success:
        _success(session, pending.request, response)
    else:
        _failure(session, pending, response)


def _invite(session: SessionState, tries: int) -> None:
    session.cseq += 1
    session.early.clear()
    session.is_cancelled = False
    headers = [("Route", str(one)) for one in session.route]
    headers += [
        ("Max-Forwards", str(session.max_forwards)),
        ("From", str(session.caller)),
        ("To", str(session.callee)),
        ("Call-ID", session.call_id),
    ]
    headers += [("CSeq", f"{session.cseq} INVITE"), ("Allow", ALLOW), ("Supported", SUPPORTED), ("Accept", SDP)]
    request = Request((*headers, *session.timer.asking(), *session.extra), b"", "INVITE", session.target)
    if session.local_sdp is not None:
        request = request.with_body(SDP, session.local_sdp.encode())
    session.send(request, Pending("invite", request, tries=tries))


def _cancel(session: SessionState, reason: str) -> None:
    """CANCEL, as soon as a provisional response was there (RFC 3261 9.1)."""
    was = session.phase
    session.enter(SipPhase.WITHDRAWING, session.now + session.options.timing.give_up)
    session.reason = reason
    if was is SipPhase.PROCEEDING:
        _send_cancel(session)


def _send_cancel(session: SessionState) -> None:
    serial = next((number for number, one in session.pending.items() if one.purpose == "invite"), None)
    if serial is not None and not session.is_cancelled:
        session.is_cancelled = True
        session.effect(v.CancelRequest(serial, session.reason))


def _provisional(session: SessionState, serial: int, invite: Request, response: Response) -> None:
    if session.phase is SipPhase.WITHDRAWING:
        _send_cancel(session)
        return
    if session.phase not in (SipPhase.CALLING, SipPhase.PROCEEDING):
        return
    if session.phase is SipPhase.CALLING:
        session.enter(SipPhase.PROCEEDING, session.until)
    tag = response.recipient.tag
    if response.status == 100 or not tag:
        if response.status != 100:
            _tell_progress(session, response, response.sdp)
        return
    early = session.early.get(tag)
    if early is None:
        if len(session.early) >= MAX_EARLY_DIALOGS:
            return
        early = session.early[tag] = EarlyDialog(Dialog.of_caller(invite, response))
    session.peer_allows |= response.tokens("Allow")
    is_reliable = "100rel" in response.tokens("Require")
    if is_reliable and not _acknowledge_provisional(session, invite, early, response):
        return
    early.sdp = response.sdp or early.sdp
    if is_reliable:
        early.answer = early.answer or response.sdp
    _tell_progress(session, response, (early.answer or response.sdp) if response.sdp is not None else None)


def _acknowledge_provisional(session: SessionState, invite: Request, early: EarlyDialog, response: Response) -> bool:
    """PRACK a reliable provisional response; False for one that came before or too early (RFC 3262 4)."""
    number = response.number("RSeq")
    if number is None or (early.rseq is not None and number != early.rseq + 1):
        return False
    early.rseq = number
    session.ask("prack", "PRACK", (("RAck", f"{number} {invite.cseq.number} INVITE"),), dialog=early.dialog)
    return True


def _tell_progress(session: SessionState, response: Response, sdp: str | None) -> None:
    if sdp is not None:
        session.tell(v.SipEarly(sdp, response.status))
    else:
        session.tell(v.SipRinging(response.status, response.reason[:128]))


def _success(session: SessionState, invite: Request, response: Response) -> None:
    """A 2xx: the first makes the call; any other branch's is acknowledged and ended (RFC 3261 13.2.2.4)."""
    tag = response.recipient.tag
    early = session.early.get(tag)
    if (tag, invite.cseq.number) in session.acks:  # again: the ACK got lost
        known = early.dialog if early else session.dialog
        if known is not None:
            session.acknowledge(known, invite)
        return
    if early is None:
        if len(session.early) >= MAX_EARLY_DIALOGS:
            return
        early = session.early[tag] = EarlyDialog(Dialog.of_caller(invite, response))
    else:
        early.dialog.confirm(response)
    session.acknowledge(early.dialog, invite)
    if session.phase in (SipPhase.CALLING, SipPhase.PROCEEDING):
        _begin(session, early, response)
    elif session.phase is SipPhase.WITHDRAWING:  # it crossed our CANCEL
        session.dialog = early.dialog
        session.leave()
    else:
        session.ask("stray bye", "BYE", dialog=early.dialog)


def _begin(session: SessionState, early: EarlyDialog, response: Response) -> None:
    session.dialog = early.dialog
    session.peer_allows |= response.tokens("Allow")
    sdp = early.answer or response.sdp or early.sdp  # after a reliable 183, what the 200 says is ignored (RFC 3261 13.2.1, RFC 3262 5)
    if sdp is None:
        wrong = MediaError("the answer has no session description")
        session.tell(v.Refused(488, str(wrong), wrong))
        session.leave(NO_DESCRIPTION)
        return
    session.remote_sdp = sdp
    session.timer.agreed(response, session.now)
    session.enter(SipPhase.TALKING)
    session.tell(v.SipAnswered(sdp))


def _failure(session: SessionState, pending: Pending, response: Response) -> None:
    if session.phase not in (SipPhase.CALLING, SipPhase.PROCEEDING):
        if session.phase is SipPhase.WITHDRAWING:
            session.enter(SipPhase.OVER)
        return
    if _try_again(session, pending, response):
        return
    if response.status in MOVED:
        _add_targets(session, response)
    elif response.status == 305 and _use_proxy(session, response):
        return
    if session.waiting_targets and response.status < 600:
        _turn_to(session, session.waiting_targets.pop(0))
        session.callee = SipAddress(session.callee.uri)
        session.enter(SipPhase.CALLING, session.until)
        _invite(session, 0)
        return
    session.enter(SipPhase.OVER)
    moved = tuple(session.moved) if response.status in MOVED else ()
    headers = tuple((name.lower(), value[:128]) for name, value in response.headers if name.lower().startswith("x-"))[:_MOST_HEADERS]
    retry_after_s = response.number("Retry-After")
    session.tell(v.Refused(response.status, response.reason[:128], moved=moved, retry_after_s=retry_after_s, headers=headers))


def _use_proxy(session: SessionState, response: Response) -> bool:
    """Ask for the same once more, over the proxy that a 305 names (RFC 3261 21.3.4)."""
    for contact in response.contacts[:MAX_REDIRECT_CONTACTS]:
        uri = contact.uri.for_request()
        room = len(session.tried) < session.options.redirects and not any(uri.is_same_as(one) for one in session.tried)
        if uri.is_sip and room and not (session.target.is_secure and not uri.is_secure) and session.options.may_follow(uri):
            session.answering = Answering(None, session.options.new_token)  # another server may ask for them to use them itself
            session.tried.append(uri)
            loose = uri if uri.is_loose else replace(uri, parameters=(*uri.parameters, ("lr", None)))
            session.route = (SipAddress(loose),)
            session.enter(SipPhase.CALLING, session.until)
            _invite(session, 0)
            return True
    return False


def _turn_to(session: SessionState, uri: SipUri) -> None:
    """Call another target. Credentials are for who was called first: another server may ask for them to use them itself."""
    if (uri.host.lower(), uri.port) != (session.target.host.lower(), session.target.port):
        session.answering = Answering(None, session.options.new_token)
    session.target, session.route = uri, ()
    session.tried.append(uri)


def _try_again(session: SessionState, pending: Pending, response: Response) -> bool:
    """Send the INVITE once more: with credentials, or with the interval that is asked for."""
    if response.status in (401, 407):
        again = session.answering.take(response, pending.request, pending.tries)
    elif response.status == 422:
        again = pending.tries <= 2 and session.timer.raise_to(response)
    else:
        again = False
    if again:
        session.enter(SipPhase.CALLING, session.until)
        _invite(session, pending.tries + 1)
    return again


def _add_targets(session: SessionState, response: Response) -> None:
    """The Contacts of a 3xx that may be tried: few, none twice, none that is ours to serve, which are told (RFC 3261 8.1.3.4)."""
    contacts = sorted(response.contacts[:MAX_REDIRECT_CONTACTS], key=lambda one: -wish(one))
    for contact in contacts:
        uri = contact.uri.for_request()
        seen = [session.callee.uri, session.target, *session.tried, *session.waiting_targets]
        room = len(session.tried) + len(session.waiting_targets) < session.options.redirects
        downgrade = session.target.is_secure and not uri.is_secure
        if not room or (uri.is_sip and downgrade) or any(uri.is_same_as(one) for one in seen):
            continue
        if uri.is_sip and session.options.may_follow(uri):
            session.waiting_targets.append(uri)
        else:
            session.moved.append(SipAddress(uri, parameters=contact.parameters))


def wish(contact: SipAddress) -> float:
    """How much a Contact is wanted: its q (RFC 3261 20.10)."""
    try:
        return min(max(float(contact.parameter("q") or 1.0), 0.0), 1.0)
    except ValueError:
        return 1.0
