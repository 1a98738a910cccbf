"""What each end of a call means, and what to do next: one row for each cause and each kind of destination, both ways.

``{peer}`` is who it was with; in a next step, which is a command or a sentence with one, it is quoted for a shell. No cause has a default:
one that is added has to be explained, for every kind.
"""

import shlex
from collections.abc import Mapping
from typing import Final, TypeAlias

from sinchphone.protocol.call.states import Cause, EndedBy
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain


@quick_dataclass(frozen=True, slots=True)
class Explanation:
    """``words``: what happened. ``next_step``: what to do now."""

    words: str
    next_step: str

    def about(self, peer: str) -> "Explanation":
        """The same about one peer."""
        return Explanation(self.words.format(peer=peer), self.next_step.format(peer=shlex.quote(peer)))


Rows: TypeAlias = Mapping[Domain, Explanation]

_AGAIN: Final = "sinchphone call --again calls once more"
_BACK: Final = "sinchphone call --back calls back"
_CALL: Final = "sinchphone call {peer} calls them"
_JOIN: Final = "sinchphone conference {peer} joins the room"
_JOIN_AGAIN: Final = "sinchphone call --again joins the room once more"
_WORD: Final = "sinchphone send-message {peer} TEXT leaves word"
_VANISHED: Final = "{peer} vanished: no sound came any more"


def _rows(words: str, mxp: str, pstn: str, sip: str, conference: str) -> Rows:
    """The same happened whatever was called; what to do differs."""
    steps = {Domain.MXP: mxp, Domain.PSTN: pstn, Domain.SIP: sip, Domain.CONFERENCE: conference}
    return {domain: Explanation(words, step) for domain, step in steps.items()}


_THERE: Final = "the call goes on there"
_ELSEWHERE: Final = _rows("answered on another device", _THERE, _THERE, _THERE, "you are in the room there")
BUSY: Final = _rows(
    "{peer} is busy",
    f"{_AGAIN}, {_WORD}",
    f"wait a while: {_AGAIN}",
    f"the phone, or all lines of its server, are taken; wait a while: {_AGAIN}",
    f"the room may be full; wait a while: {_AGAIN}",
)
OUTGOING: Final[Mapping[Cause, Rows]] = {
    Cause.TIMEOUT: {
        Domain.MXP: Explanation(
            "no device of {peer} took notice", f"somebody is reached while their app or sinchphone listen runs; {_WORD}"
        ),
        Domain.PSTN: Explanation(
            "the phone network never said that {peer} rings", f"check the number and its country code, then: {_AGAIN}"
        ),
        Domain.SIP: Explanation(
            "the server of {peer} never said that it rings", f"check the address, and that the phone is registered there, then: {_AGAIN}"
        ),
        Domain.CONFERENCE: Explanation(
            "the room {peer} took no notice", f"the platform may be in trouble: sinchphone doctor looks, {_AGAIN}"
        ),
    },
    Cause.DENIED: _rows(
        "{peer} declined",
        _WORD,
        "the phone or its network may decline callers it doesn't know: --caller-id says who calls",
        "the phone, or a rule of its server, declined: ask who runs it",
        "the room may be locked: ask who runs it",
    ),
    Cause.NO_ANSWER: _rows(
        "{peer} did not answer",
        f"{_WORD}; --ring-timeout 60s rings as long as anything may",
        f"try at another time: {_AGAIN}",
        f"try at another time: {_AGAIN}; nobody may be at the phone, or it isn't registered",
        f"the platform may be in trouble: sinchphone doctor looks, {_AGAIN}",
    ),
    Cause.FAILURE: _rows(
        "the call failed",
        f"sinchphone doctor looks at this side; {_AGAIN}",
        f"check the number, the caller id and the credit; {_AGAIN}",
        f"check the address and its server; {_AGAIN}",
        f"check the room's name; sinchphone doctor looks at this side, {_AGAIN}",
    ),
    Cause.HUNG_UP: _rows("{peer} hung up", _AGAIN, _AGAIN, _AGAIN, _JOIN_AGAIN),
    Cause.CANCELED: _rows("canceled", f"{_AGAIN}, {_WORD}", _AGAIN, _AGAIN, _JOIN_AGAIN),
    Cause.OTHER_DEVICE_ANSWERED: _ELSEWHERE,
    Cause.INACTIVE: _rows(
        _VANISHED,
        f"its program was ended, or one of you has lost the network: {_AGAIN}",
        f"the phone network lost the call, or this side its network: {_AGAIN}",
        f"the phone was switched off, or a firewall on the way forgot it: {_AGAIN}",
        "the room's end or this network is gone: sinchphone call --again joins once more",
    ),
}
INCOMING: Final[Mapping[Cause, Rows]] = {
    Cause.TIMEOUT: _rows("nobody here took notice of {peer}", _BACK, _BACK, _BACK, _JOIN),
    Cause.DENIED: _rows("declined on another device", f"{_CALL}; {_WORD}", _CALL, _CALL, _JOIN),
    Cause.NO_ANSWER: _rows("not answered", f"{_BACK}; {_WORD}", _BACK, _BACK, _JOIN),
    Cause.FAILURE: _rows(
        "the call failed",
        f"sinchphone doctor looks at this side; {_BACK}",
        f"sinchphone doctor looks at this side; {_BACK}",
        f"the caller's server may be in trouble; {_BACK}",
        _JOIN,
    ),
    Cause.HUNG_UP: _rows("{peer} hung up", _CALL, f"{_CALL}, unless they withheld their number", _CALL, _JOIN),
    Cause.CANCELED: _rows("canceled", f"{_BACK}; {_WORD}", f"{_BACK}, unless they withheld their number", _BACK, _JOIN),
    Cause.OTHER_DEVICE_ANSWERED: _ELSEWHERE,
    Cause.INACTIVE: _rows(
        _VANISHED,
        "their program was ended, or one of you has lost the network: call {peer}",
        "the phone network lost the call, or this side its network: call {peer}",
        "the phone was switched off, or a firewall on the way forgot it: call {peer}",
        "the room's end or this network is gone: sinchphone conference {peer} joins it",
    ),
}
# Whose call it was to end it, where the words themselves don't name them.
WHOSE: Final[Mapping[EndedBy, str]] = {
    EndedBy.US: "ended on this side",
    EndedBy.PEER: "ended by the other side",
    EndedBy.PLATFORM: "ended by the platform",
    EndedBy.MEDIA: "ended since no sound could flow",
    EndedBy.TIME: "ended since the time for it was up",
}


def explain(cause: Cause | None, domain: Domain, *, outbound: bool, peer: str, busy: bool = False) -> Explanation:
    """What an end means, and what to do. ``busy``: they declined since they are on the phone. An end without a cause is a failure."""
    table = OUTGOING if outbound else INCOMING
    rows = BUSY if busy and outbound and cause is Cause.DENIED else table[cause or Cause.FAILURE]
    return rows[domain].about(peer)
