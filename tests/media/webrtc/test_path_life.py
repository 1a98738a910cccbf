"""How long a peer is waited for, on a clock that is set by hand."""

from sinchphone.media.port import PortOptions
from sinchphone.media.webrtc.ice.path_life import CONSENT_SECONDS, PathLife, PathState

PATIENCE = PortOptions().lost_after_s


def states(life: PathLife, begin: float, end: float) -> list[PathState]:
    """Looked at every half second, each change once."""
    seen: list[PathState] = []
    for half in range(round(2 * begin), round(2 * end) + 1):
        state, _ = life.look(half / 2)
        seen += [state] if seen[-1:] != [state] else []
    return seen


def test_a_link_that_is_gone_for_thirty_seconds_costs_nothing_but_the_consent() -> None:
    life = PathLife(0.0, PATIENCE)
    assert states(life, 0.5, 33) == [PathState.CONSENTED, PathState.EXPIRED]
    life.consented(33.1)
    assert states(life, 33.5, 60) == [PathState.CONSENTED]


def test_a_peer_that_sleeps_for_sixty_seconds_is_waited_for() -> None:
    life = PathLife(0.0, PATIENCE)
    assert states(life, 0.5, 75) == [PathState.CONSENTED, PathState.EXPIRED]


def test_a_peer_that_never_comes_back_is_given_up() -> None:
    life = PathLife(0.0, PATIENCE)
    assert states(life, 0.5, PATIENCE) == [PathState.CONSENTED, PathState.EXPIRED, PathState.LOST]


def test_packets_without_consent_are_no_permission_to_send() -> None:
    """RFC 7675 5.1: whatever else arrives."""
    life = PathLife(0.0, PATIENCE)
    seen = []
    for half in range(1, round(2 * PATIENCE) + 1):
        life.heard(half / 2)
        seen.append(life.look(half / 2)[0])
    assert seen[round(2 * CONSENT_SECONDS) - 1] is PathState.EXPIRED
    assert seen[-1] is PathState.LOST, "it can't be talked to"


def test_after_we_slept_the_peer_has_all_the_time_again_and_the_consent_is_old() -> None:
    """Trap: a process that was stopped for longer than its patience took its own absence for the peer's."""
    life = PathLife(0.0, PATIENCE)
    states(life, 0.5, 10)
    assert life.look(10 + 2 * PATIENCE) == (PathState.EXPIRED, True)
    begin = 10.5 + 2 * PATIENCE
    assert states(life, begin, begin + PATIENCE - 1) == [PathState.EXPIRED]
    life.consented(begin + PATIENCE - 1)
    assert life.look(begin + PATIENCE - 0.5) == (PathState.CONSENTED, False)


def test_a_short_nap_changes_nothing() -> None:
    life = PathLife(0.0, PATIENCE)
    states(life, 0.5, 10)
    life.consented(10.0)
    assert life.look(15.0) == (PathState.CONSENTED, True)
