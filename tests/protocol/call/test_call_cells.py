"""Every method in every phase, both roles: it has a row, or it is said here why the cell is empty."""

from typing import Final

import pytest

from sinchphone.protocol.call.machine import MESSAGES
from sinchphone.protocol.call.vocabulary import Phase
from sinchphone.protocol.mxp.message import Method

ROLES: Final = {
    "caller": {
        Phase.NEW,
        Phase.OFFERING,
        Phase.PLACING,
        Phase.WITHDRAWING,
        Phase.CALLING,
        Phase.RINGING_OUT,
        Phase.CONNECTING,
        Phase.TALKING,
        Phase.FADING,
        Phase.OVER,
    },
    "callee": {
        Phase.NEW,
        Phase.PREPARING,
        Phase.RINGING_AHEAD,
        Phase.RINGING_IN,
        Phase.JOINING,
        Phase.CONNECTING,
        Phase.TALKING,
        Phase.FADING,
        Phase.OVER,
    },
}
KEYLESS: Final = {Phase.OFFERING, Phase.PLACING, Phase.WITHDRAWING}
UNANSWERED: Final = {Phase.CALLING, Phase.RINGING_OUT}
UNDECIDED: Final = {Phase.PREPARING, Phase.RINGING_AHEAD, Phase.RINGING_IN, Phase.JOINING}
ANSWERED: Final = {Phase.CONNECTING, Phase.TALKING, Phase.FADING}
CELLS: Final = [(role, phase, method) for role, phases in ROLES.items() for phase in phases for method in Method]


def why_empty(role: str, phase: Phase, method: Method) -> str | None:
    """The reason for an empty cell."""
    reason = None
    if method is Method.UNDEFINED:
        reason = "0 is no method: clients name a message so that they could not read"
    elif method is Method.UPDATE:
        reason = 'MXP v10 lists it as "not in use"'
    elif method is Method.INVITE:
        reason = "it makes a call, and is encrypted with the device's key: a call that exists is not made again"
    elif phase is Phase.NEW:
        reason = "the first input is our own: nothing is taken from the channel before it"
    elif phase in KEYLESS:
        reason = "the session key comes with the placement: what came before waits in the channel, and is read in CALLING"
    elif phase is Phase.OVER:
        reason = "the end is told once; who missed our goodbye is told by the exchange, or by its own clock"
    elif role == "caller" and method is Method.JOINED:
        reason = "the caller alone says who won: nobody tells it"
    elif role == "callee" and method in (Method.ACK, Method.JOIN) and phase in UNDECIDED:
        reason = "called devices say it to the caller alone"
    elif role == "callee" and method is Method.JOINED and phase in ANSWERED:
        reason = "the first JOINED decided: one that comes again says the same, and nobody takes a word back"
    return reason


@pytest.mark.parametrize(("role", "phase", "method"), CELLS)
def test_a_cell_has_a_row_or_a_reason_why_it_is_empty(role: str, phase: Phase, method: Method) -> None:
    if (phase, method) in MESSAGES:
        assert why_empty(role, phase, method) is None, "a row and a reason to have none"
    else:
        assert why_empty(role, phase, method), "an empty cell without a reason"


def test_every_phase_is_somebodys() -> None:
    assert set.union(*ROLES.values()) == set(Phase)
    assert ROLES["caller"] == {Phase.NEW, Phase.OVER} | KEYLESS | UNANSWERED | ANSWERED
    assert ROLES["callee"] == {Phase.NEW, Phase.OVER} | UNDECIDED | ANSWERED


@pytest.mark.parametrize("method", [Method.LEAVE, Method.DENY, Method.CANCEL, Method.ERROR])
def test_a_goodbye_is_understood_wherever_a_peer_can_say_it(method: Method) -> None:
    assert {phase for phase, known in MESSAGES if known is method} == UNANSWERED | UNDECIDED | ANSWERED
