"""The callee's rows of a session: what an INVITE is answered with, until its ACK (RFC 3261 13.3, RFC 3262)."""

import re
from typing import Final

from sinchphone.protocol.sip.bodies import SDP
from sinchphone.protocol.sip.message import HeaderLines, Request, respond
from sinchphone.protocol.sip.session import transfer
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.dialog import Dialog
from sinchphone.protocol.sip.session.state import ALLOW, NO_DESCRIPTION, REMIND_SECONDS, SUPPORTED, SessionState
from sinchphone.protocol.sip.session.timer import MIN_SECONDS
from sinchphone.protocol.sip.session.vocabulary import SipPhase
from sinchphone.protocol.sip.uri import unquoted

_RACK: Final = re.compile(r"\s*([0-9]{1,10})\s+([0-9]{1,10})\s+(\S{1,32})\s*")
_REASON: Final = re.compile(r"\s*([A-Za-z0-9.]{1,16})\s*(?:;(.*))?")
_NETWORK_FAULTS: Final = {27: 502, 34: 503, 38: 503, 41: 503, 42: 503, 44: 503, 47: 503, 102: 504}
_NOT_SELECTED: Final = 26  # "non-selected user clearing": another phone was given the call
MAX_PROVISIONALS: Final = 16  # that wait for a PRACK


def ring(session: SessionState, _: v.SipRing) -> None:
    """180."""
    _provisional(session, 180, None)


def early(session: SessionState, order: v.SendEarly) -> None:
    """183 with our description."""
    _provisional(session, 183, order.sdp)


def answer(session: SessionState, order: v.SipAnswer) -> None:
    """200; it waits for the PRACK of a description that isn't acknowledged (RFC 3262 3)."""
    if session.wanted_answer is not None:
        return
    if session.reliable is not None and session.reliable.response.body:
        session.wanted_answer = order.sdp
        return
    _accept(session, order.sdp)


def refuse(session: SessionState, order: v.SipRefuse) -> None:
    """A final response of 300 and more."""
    headers = () if order.retry_after_s is None else (("Retry-After", str(order.retry_after_s)),)
    _end(session, order.status, order.reason, v.SipEnded(order.reason or "refused", order.status), headers)


def give_up(session: SessionState, order: v.SipHangUp) -> None:
    """Hung up before it was answered."""
    _end(session, 480, "", v.SipEnded(order.reason or "hung up", None))


def cancelled(session: SessionState, event: v.GotCancel) -> None:
    """The caller hung up first, or a proxy says that somebody else answered (RFC 3326)."""
    if event.key == session.invite_key:
        reason, status = read_reason(event.request)
        _end(session, 487, "", v.SipEnded(reason or "canceled", status or 487))


def rang_out(session: SessionState) -> None:
    """Nobody said anything for as long as it may ring."""
    _end(session, 480, "", v.SipEnded("nobody answered in time", 480))


def confirmed(session: SessionState, event: v.GotAck) -> None:
    """The ACK of our 200."""
    done = session.repeated
    if done is None or event.request.cseq.number != done.response.cseq.number:
        return
    session.repeated = None
    session.enter(SipPhase.TALKING)
    session.retry_at = session.now if session.proposal is not None else None
    transfer.refer_now(session)
    if not done.asks:
        return
    if (sdp := event.request.sdp) is None:
        session.tell(v.SipEnded("the ACK has no session description", 488))
        session.leave(NO_DESCRIPTION)
        return
    session.remote_sdp = sdp
    session.tell(v.SipAnswered(sdp))


def on_prack(session: SessionState, key: str, request: Request, _: Dialog) -> None:
    """The ACK of a provisional response."""
    match = _RACK.fullmatch(request.first("RAck") or "")
    wanted = session.reliable
    if match is None or wanted is None or session.invite is None:
        session.reply(key, respond(request, 481))
        return
    if (int(match[1]), int(match[2]), match[3]) != (wanted.rseq, session.invite.cseq.number, "INVITE"):
        session.reply(key, respond(request, 481))
        return
    if request.sdp is not None and not wanted.asks:  # a second offer while it rings: there is nobody yet to take it
        session.reply(key, respond(request, 488))
    else:
        session.reply(key, respond(request, 200))
    session.reliable = None
    if wanted.asks and request.sdp is not None:
        session.remote_sdp = request.sdp
        session.tell(v.SipAnswered(request.sdp))
    if session.wanted_answer is not None:
        _accept(session, session.wanted_answer)
    elif session.queue:
        _provisional(session, *session.queue.pop(0))


def repeat_answer(session: SessionState) -> None:
    """The 200 again, until its ACK; then BYE (RFC 3261 13.3.1.4)."""
    one = session.repeated
    if one is None or session.now < one.next_at:
        return
    if session.now >= one.until:
        session.repeated = None
        session.tell(v.SipEnded("the answer was never acknowledged", 408))
        session.leave('SIP;cause=408;text="no ACK"')
        return
    one.interval = min(2 * one.interval, session.options.timing.t2)
    one.next_at = min(session.now + one.interval, one.until)
    session.reply(one.key, one.response)


def repeat_provisional(session: SessionState) -> None:
    """The reliable provisional response again, until its PRACK; then 504 (RFC 3262 3)."""
    one = session.reliable
    if one is None or session.now < one.next_at:
        return
    if session.now >= one.until:
        _end(session, 504, "", v.SipEnded("a provisional response was never acknowledged", 504))
        return
    one.interval *= 2
    one.next_at = min(session.now + one.interval, one.until)
    session.reply(one.key, one.response)


def remind(session: SessionState) -> None:
    """The last provisional response once a minute, so that proxies don't give up (RFC 3261 13.3.1.1)."""
    if session.remind_at is None or session.now < session.remind_at:
        return
    session.remind_at = session.now + REMIND_SECONDS
    if session.reminder is not None and session.reliable is None:
        session.reply(session.invite_key, session.reminder)


def read_reason(request: Request, *, networks: bool = False) -> tuple[str, int | None]:
    """Text and SIP status of the Reason headers (RFC 3326): of the first cause that has a status. One of another protocol has none, but
    for what the telephone network calls "answered by somebody else" (Q.850, 26), and for those of ``networks``: what breaks a call that
    was answered, by its numbers (RFC 3398 7.2.4.1)."""
    said = ""
    for value in request.values("Reason"):
        match = _REASON.fullmatch(value)
        if match is None:
            continue
        cause = re.search(r"cause\s*=\s*([0-9]{1,3})\b", match[2] or "")
        quotes = re.search(r'text\s*=\s*"((?:[^"\\]|\\.){0,256})"', match[2] or "")
        text = unquoted(f'"{quotes[1]}"') if quotes else ""
        status = _status(match[1].upper(), int(cause[1]) if cause else 0, networks=networks)
        if status is not None:
            return text, status
        said = said or text
    return said, None


def _status(protocol: str, cause: int, *, networks: bool) -> int | None:
    if protocol == "SIP" and 200 <= cause < 700:
        return cause
    if protocol == "Q.850":
        return 200 if cause == _NOT_SELECTED else _NETWORK_FAULTS.get(cause) if networks else None
    return None


def dialog_headers(session: SessionState) -> HeaderLines:
    """What our responses that make a dialog hold (RFC 3261 12.1.1, 13.3.1.4)."""
    assert session.invite is not None  # a callee has one
    recorded = tuple(("Record-Route", value) for value in session.invite.values("Record-Route"))
    return (*recorded, ("Allow", ALLOW), ("Supported", SUPPORTED))


def _provisional(session: SessionState, status: int, sdp: str | None) -> None:
    assert session.invite is not None
    invite = session.invite
    can = "100rel" in invite.tokens("Supported") | invite.tokens("Require")
    is_reliable = "100rel" in invite.tokens("Require") or (can and sdp is not None and not session.is_sdp_sent)
    if is_reliable and session.reliable is not None:
        if len(session.queue) < MAX_PROVISIONALS:
            session.queue.append((status, sdp))
        return
    headers = dialog_headers(session)
    if "100rel" not in invite.tokens("Require"):
        session.reminder = respond(invite, status, tag=session.tag, headers=headers)
        if sdp is not None and not is_reliable:
            session.reminder = session.reminder.with_body(SDP, sdp.encode())
    if is_reliable:
        session.rseq = session.rseq + 1 if session.rseq else 1 + int(session.options.chance() * 2**30)
        headers = (*headers, ("Require", "100rel"), ("RSeq", str(session.rseq)))
    response = respond(invite, status, tag=session.tag, headers=headers)
    if sdp is not None:
        response = response.with_body(SDP, sdp.encode())
    asks = session.remote_sdp is None and sdp is not None
    session.remind_at = session.now + REMIND_SECONDS
    if not is_reliable:
        session.reply(session.invite_key, response)
        return
    session.reliable = session.repeat_until_acknowledged(session.invite_key, response, rseq=session.rseq, asks=asks)
    if sdp is not None:
        session.is_sdp_sent, session.local_sdp = True, sdp


def _accept(session: SessionState, sdp: str) -> None:
    assert session.invite is not None
    if session.timer.is_too_short(session.invite):
        _end(session, 422, "", v.SipEnded("the session interval is too small", 422), (("Min-SE", str(MIN_SECONDS)),))
        return
    timer = session.timer.answering(session.invite, session.now)
    asks = session.remote_sdp is None
    response = respond(session.invite, 200, tag=session.tag, headers=(*dialog_headers(session), *timer))
    if not session.is_sdp_sent:
        response = response.with_body(SDP, sdp.encode())
        session.local_sdp = sdp
    session.enter(SipPhase.ACCEPTED)
    session.repeated = session.repeat_until_acknowledged(session.invite_key, response, asks=asks)


def _end(session: SessionState, status: int, reason: str, event: v.SipEnded, headers: HeaderLines = ()) -> None:
    """A final response that isn't 2xx. A change that was offered meanwhile ends with it."""
    assert session.invite is not None
    if session.proposal is not None and session.proposal.key is not None and session.proposal.request is not None:
        session.reply(session.proposal.key, respond(session.proposal.request, 487))
        session.proposal = None
    session.reply(session.invite_key, respond(session.invite, status, reason=reason, tag=session.tag, headers=headers))
    session.enter(SipPhase.OVER)
    session.tell(event)


def end_early(session: SessionState, key: str, request: Request) -> None:
    """BYE while it rings: allowed to the caller (RFC 3261 15)."""
    session.reply(key, respond(request, 200))
    reason, status = read_reason(request)
    _end(session, 487, "", v.SipEnded(reason or "canceled", status or 487))
