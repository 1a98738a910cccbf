"""The rows for asking the other side to call somebody else (REFER, RFC 3515), and for what it tells of that (NOTIFY, RFC 3420).

The last status that it tells decides. A subscription that it ends before there is one leaves that open: it has begun to call, and tells
no more.
"""

import re
from typing import Final

from sinchphone.protocol.sip.dialog import Dialog
from sinchphone.protocol.sip.message import Request, Response, respond
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.state import Pending, SessionState
from sinchphone.protocol.sip.session.vocabulary import SipPhase

UNTOLD: Final = 202  # accepted; what came of it isn't told
_FRAGMENT: Final = re.compile(rb"\s*SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]{0,120}))?")
_ID: Final = re.compile(r";\s*id\s*=\s*([0-9]{1,10})")


def refer(session: SessionState, order: v.SendRefer) -> None:
    """REFER in the dialog; one at a time."""
    if session.refer_cseq is not None:
        session.effect(v.ReferDone(491, "another transfer is under way"))
        return
    _note(session, session.ask("refer", "REFER", (("Refer-To", f"<{order.target}>"),)))


def refer_response(session: SessionState, _serial: int, pending: Pending, response: Response) -> None:
    """The answer to our REFER: a refusal is the end of it."""
    if response.is_provisional or response.is_success or session.refer_cseq is None:
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
    if session.refer_cseq is None or (named is not None and int(named[1]) != session.refer_cseq):
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


def _note(session: SessionState, serial: int) -> None:
    session.refer_cseq = session.pending[serial].request.cseq.number


def _done(session: SessionState, status: int, reason: str) -> None:
    session.refer_cseq = None
    session.effect(v.ReferDone(status, reason))
