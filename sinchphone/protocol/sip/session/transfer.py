"""The rows for asking the other side to call somebody else, and for being asked to (REFER, RFC 3515), and for what is told of that (NOTIFY,
RFC 3420).

The last status that it tells decides. A subscription that it ends before there is one leaves that open: it has begun to call, and tells
no more.
"""

import re
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.headers.replaces import replaces_in
from sinchphone.protocol.sip.message import Request, Response, respond
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.dialog import Dialog
from sinchphone.protocol.sip.session.state import Pending, Referral, SessionState
from sinchphone.protocol.sip.session.vocabulary import SipPhase
from sinchphone.protocol.sip.statuses import REASONS
from sinchphone.protocol.sip.uri import parse_address

UNTOLD: Final = 202  # accepted; what came of it isn't told
REFERRED_SECONDS: Final = 100.0  # for a call that the peer asked for to be answered; longer than anything rings here
FRAGMENT: Final = "message/sipfrag;version=2.0"
_FRAGMENT: Final = re.compile(rb"\s*SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]{0,120}))?")
_BUSY: Final = "another transfer is under way"
_ID: Final = re.compile(r";\s*id\s*=\s*([0-9]{1,10})")


def refer(session: SessionState, order: v.SendRefer) -> None:
    """REFER in the dialog, in our own name (RFC 3892); one at a time."""
    if session.transfers.cseq is not None:
        session.effect(v.ReferDone(491, _BUSY))
        return
    assert session.dialog is not None  # talking
    by = parse_address(session.dialog.local).uri
    _note(session, session.ask("refer", "REFER", (("Refer-To", f"<{order.target}>"), ("Referred-By", f"<{by}>"))))


def refer_later(session: SessionState, order: v.SendRefer) -> None:
    """REFER once our answer is acknowledged: before that a peer may not know the call yet."""
    if session.transfers.wanted is not None:
        session.effect(v.ReferDone(491, _BUSY))
    else:
        session.transfers.wanted = order


def refer_now(session: SessionState) -> None:
    """The ACK came that a REFER waits for."""
    wanted, session.transfers.wanted = session.transfers.wanted, None
    if wanted is not None and session.phase is SipPhase.TALKING:
        refer(session, wanted)


def refer_response(session: SessionState, _serial: int, pending: Pending, response: Response) -> None:
    """The answer to our REFER: a refusal is the end of it."""
    if response.is_provisional or response.is_success or session.transfers.cseq is None:
        return
    again = session.ask_again(pending, response) if session.phase is SipPhase.TALKING else None
    if again is not None:
        _note(session, again)
    else:
        _done(session, response.status, response.reason)


def on_notify(session: SessionState, key: str, request: Request, _: Dialog) -> None:
    """How the other side's call goes."""
    event = request.first("Event") or ""
    if event.partition(";")[0].strip().lower() != "refer":
        session.reply(key, respond(request, 489, headers=(("Allow-Events", "refer"),)))
        return
    named = _ID.search(event)
    if session.transfers.cseq is None or (named is not None and int(named[1]) != session.transfers.cseq):
        session.reply(key, respond(request, 481))  # of an earlier one
        return
    found = _FRAGMENT.match(request.body)
    if found is None:
        session.reply(key, respond(request, 400))
        return
    session.reply(key, respond(request, 200))
    status, is_over = int(found[1]), (request.first("Subscription-State") or "").strip().lower().startswith("terminated")
    if status >= 200:
        _done(session, status, (found[2] or b"").decode("utf-8", "replace"))
    elif is_over:
        _done(session, UNTOLD, "")


def on_refer(session: SessionState, key: str, request: Request, dialog: Dialog) -> None:
    """Whom we talk to is to call somebody else: taken, and told about as it goes."""
    if session.phase is not SipPhase.TALKING:
        session.reply(key, respond(request, 481 if session.phase in (SipPhase.LEAVING, SipPhase.WITHDRAWING) else 500))
        return
    if session.transfers.referral is not None:
        session.reply(key, respond(request, 491))
        return
    try:
        [named] = request.all("Refer-To")  # exactly one (RFC 3515 2.4.2)
        target = parse_address(named).uri
        replaces = replaces_in(target)
    except (ValueError, RemoteProtocolError):
        session.reply(key, respond(request, 400))
        return
    if not (target.is_sip or target.scheme == "tel") or (target.parameter("method") or "INVITE").upper() != "INVITE":
        session.reply(key, respond(request, 603))
        return
    session.transfers.referrals += 1
    quiet = (request.first("Refer-Sub") or "").strip().lower() == "false"
    event = None if quiet else "refer" if session.transfers.referrals == 1 else f"refer;id={request.cseq.number}"
    session.transfers.referral = Referral(event, session.now + REFERRED_SECONDS)
    session.reply(key, respond(request, 202, headers=(("Refer-Sub", "false"),) if quiet else ()))
    _notify(session, 100, "Trying")
    session.tell(v.SipReferred(target.for_request(), replaces))


def tell_refer(session: SessionState, order: v.ReferNews) -> None:
    """NOTIFY: how the call goes that the peer asked for."""
    if session.transfers.referral is None:
        session.ignored += 1
    else:
        _notify(session, order.status, order.reason)


def end_referral(session: SessionState) -> None:
    """A call that the peer asked for, of which nobody says what came."""
    if session.transfers.referral is not None and session.now >= session.transfers.referral.until and session.phase is SipPhase.TALKING:
        _notify(session, 408, "")


def notify_response(session: SessionState, _serial: int, pending: Pending, response: Response) -> None:
    """A peer that doesn't want to know is told no more (RFC 6665 4.2.2)."""
    if response.is_provisional or response.is_success or session.ask_again(pending, response) is not None:
        return
    if session.transfers.referral is not None:
        session.transfers.referral.event = None


def _notify(session: SessionState, status: int, reason: str) -> None:
    referral = session.transfers.referral
    if referral is None:
        return
    is_over = status >= 200
    if is_over:
        session.transfers.referral = None
    if referral.event is None or session.dialog is None:
        return
    left = max(1, round(referral.until - session.now))
    state = "terminated;reason=noresource" if is_over else f"active;expires={left}"
    headers = (("Event", referral.event), ("Subscription-State", state))
    line = f"SIP/2.0 {status} {reason or REASONS.get(status, 'Failed')}\r\n".encode("ascii", "replace")
    request = session.dialog.request("NOTIFY", headers).with_body(FRAGMENT, line)
    session.send(request, Pending("notify", request, session.dialog, headers))


def _note(session: SessionState, serial: int) -> None:
    session.transfers.cseq = session.pending[serial].request.cseq.number


def _done(session: SessionState, status: int, reason: str) -> None:
    session.transfers.cseq = None
    session.effect(v.ReferDone(status, reason))
