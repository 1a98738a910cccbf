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
_WORD: Final = "sinchphone send-message {peer} TEXT leaves word"


def _rows(mxp: tuple[str, str], pstn: tuple[str, str], sip: tuple[str, str], conference: tuple[str, str]) -> Rows:
    return {
        Domain.MXP: Explanation(*mxp),
        Domain.PSTN: Explanation(*pstn),
        Domain.SIP: Explanation(*sip),
        Domain.CONFERENCE: Explanation(*conference),
    }


BUSY: Final = _rows(
    ("{peer} is busy", f"{_AGAIN}, {_WORD}"),
    ("{peer} is busy", f"wait a while: {_AGAIN}"),
    ("{peer} is busy", f"the phone, or all lines of its server, are taken; wait a while: {_AGAIN}"),
    ("{peer} is busy", f"the room may be full; wait a while: {_AGAIN}"),
)
OUTGOING: Final[Mapping[Cause, Rows]] = {
    Cause.TIMEOUT: _rows(
        ("no device of {peer} took notice", f"somebody is reached while their app or sinchphone listen runs; {_WORD}"),
        ("the phone network never said that {peer} rings", f"check the number and its country code, then: {_AGAIN}"),
        ("the server of {peer} never said that it rings", f"check the address, and that the phone is registered there, then: {_AGAIN}"),
        ("the room {peer} took no notice", f"the platform may be in trouble: sinchphone doctor looks, {_AGAIN}"),
    ),
    Cause.DENIED: _rows(
        ("{peer} declined", _WORD),
        ("{peer} declined", "the phone or its network may decline callers it doesn't know: --caller-id says who calls"),
        ("{peer} declined", "the phone, or a rule of its server, declined: ask who runs it"),
        ("{peer} declined", "the room may be locked: ask who runs it"),
    ),
    Cause.NO_ANSWER: _rows(
        ("{peer} did not answer", f"{_WORD}; --ring-timeout 60s rings as long as anything may"),
        ("{peer} did not answer", f"try at another time: {_AGAIN}"),
        ("{peer} did not answer", f"try at another time: {_AGAIN}; nobody may be at the phone, or it isn't registered"),
        ("{peer} did not answer", f"the platform may be in trouble: sinchphone doctor looks, {_AGAIN}"),
    ),
    Cause.FAILURE: _rows(
        ("the call failed", f"sinchphone doctor looks at this side; {_AGAIN}"),
        ("the call failed", f"check the number, the caller id and the credit; {_AGAIN}"),
        ("the call failed", f"check the address and its server; {_AGAIN}"),
        ("the call failed", f"check the room's name; sinchphone doctor looks at this side, {_AGAIN}"),
    ),
    Cause.HUNG_UP: _rows(
        ("{peer} hung up", _AGAIN),
        ("{peer} hung up", _AGAIN),
        ("{peer} hung up", _AGAIN),
        ("{peer} hung up", "sinchphone call --again joins the room once more"),
    ),
    Cause.CANCELED: _rows(
        ("canceled", f"{_AGAIN}, {_WORD}"),
        ("canceled", _AGAIN),
        ("canceled", _AGAIN),
        ("canceled", "sinchphone call --again joins the room once more"),
    ),
    Cause.OTHER_DEVICE_ANSWERED: _rows(
        ("answered on another device", "the call goes on there"),
        ("answered on another device", "the call goes on there"),
        ("answered on another device", "the call goes on there"),
        ("answered on another device", "you are in the room there"),
    ),
    Cause.INACTIVE: _rows(
        ("{peer} vanished: no sound came any more", f"its program was ended, or one of you has lost the network: {_AGAIN}"),
        ("{peer} vanished: no sound came any more", f"the phone network lost the call, or this side its network: {_AGAIN}"),
        ("{peer} vanished: no sound came any more", f"the phone was switched off, or a firewall on the way forgot it: {_AGAIN}"),
        ("{peer} vanished: no sound came any more", "the room's end or this network is gone: sinchphone call --again joins once more"),
    ),
}
INCOMING: Final[Mapping[Cause, Rows]] = {
    Cause.TIMEOUT: _rows(
        ("nobody here took notice of {peer}", _BACK),
        ("nobody here took notice of {peer}", _BACK),
        ("nobody here took notice of {peer}", _BACK),
        ("nobody here took notice of {peer}", "sinchphone conference {peer} joins the room"),
    ),
    Cause.DENIED: _rows(
        ("declined on another device", f"sinchphone call {{peer}} calls them; {_WORD}"),
        ("declined on another device", "sinchphone call {peer} calls them"),
        ("declined on another device", "sinchphone call {peer} calls them"),
        ("declined on another device", "sinchphone conference {peer} joins the room"),
    ),
    Cause.NO_ANSWER: _rows(
        ("not answered", f"{_BACK}; {_WORD}"),
        ("not answered", _BACK),
        ("not answered", _BACK),
        ("not answered", "sinchphone conference {peer} joins the room"),
    ),
    Cause.FAILURE: _rows(
        ("the call failed", f"sinchphone doctor looks at this side; {_BACK}"),
        ("the call failed", f"sinchphone doctor looks at this side; {_BACK}"),
        ("the call failed", f"the caller's server may be in trouble; {_BACK}"),
        ("the call failed", "sinchphone conference {peer} joins the room"),
    ),
    Cause.HUNG_UP: _rows(
        ("{peer} hung up", "sinchphone call {peer} calls them"),
        ("{peer} hung up", "sinchphone call {peer} calls them, unless they withheld their number"),
        ("{peer} hung up", "sinchphone call {peer} calls them"),
        ("{peer} hung up", "sinchphone conference {peer} joins the room"),
    ),
    Cause.CANCELED: _rows(
        ("canceled", f"{_BACK}; {_WORD}"),
        ("canceled", f"{_BACK}, unless they withheld their number"),
        ("canceled", _BACK),
        ("canceled", "sinchphone conference {peer} joins the room"),
    ),
    Cause.OTHER_DEVICE_ANSWERED: _rows(
        ("answered on another device", "the call goes on there"),
        ("answered on another device", "the call goes on there"),
        ("answered on another device", "the call goes on there"),
        ("answered on another device", "you are in the room there"),
    ),
    Cause.INACTIVE: _rows(
        ("{peer} vanished: no sound came any more", "their program was ended, or one of you has lost the network: call {peer}"),
        ("{peer} vanished: no sound came any more", "the phone network lost the call, or this side its network: call {peer}"),
        ("{peer} vanished: no sound came any more", "the phone was switched off, or a firewall on the way forgot it: call {peer}"),
        ("{peer} vanished: no sound came any more", "the room's end or this network is gone: sinchphone conference {peer} joins it"),
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
