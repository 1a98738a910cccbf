"""When a restart is due: the rules, on a clock of the test's."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.media.webrtc.ice.path_watch import ADDRESSES_SECONDS, CONSENT_SECONDS, MAX_ATTEMPTS, PAUSE_SECONDS, YIELD_SECONDS, PathWatch

HOME = ("192.0.2.1",)
AWAY = ("198.51.100.1",)


def test_a_peer_that_answers_is_left_in_peace() -> None:
    path_watch = PathWatch(HOME, 0.0, offerer=True)
    for second in range(3600):
        path_watch.consented(float(second))
        path_watch.saw(HOME)
        assert path_watch.due(float(second)) is None


def test_a_peer_that_does_not_answer_for_some_seconds_is_reason_enough() -> None:
    path_watch = PathWatch(HOME, 0.0, offerer=True)
    assert path_watch.due(CONSENT_SECONDS - 0.1) is None
    assert "answer" in (path_watch.due(CONSENT_SECONDS) or "")


def test_the_side_that_answered_first_waits_longer_so_that_not_both_begin() -> None:
    path_watch = PathWatch(HOME, 0.0, offerer=False)
    assert path_watch.due(CONSENT_SECONDS + YIELD_SECONDS - 0.1) is None
    assert path_watch.due(CONSENT_SECONDS + YIELD_SECONDS) is not None


def test_other_addresses_are_reason_enough_at_once_on_either_side() -> None:
    for offerer in (True, False):
        path_watch = PathWatch(HOME, 0.0, offerer=offerer)
        path_watch.saw((*HOME, *AWAY))
        assert "addresses" in (path_watch.due(0.0) or "")
        path_watch.ended(1.0, moved=True, addresses=(*HOME, *AWAY))
        path_watch.saw((*AWAY, *HOME))  # the same in another order
        assert path_watch.due(60.0 if offerer else 1.0) is None or offerer


def test_no_address_at_all_is_no_reason_but_the_next_one_is() -> None:
    path_watch = PathWatch(HOME, 0.0, offerer=True)
    path_watch.saw(())
    assert path_watch.due(1.0) is None
    path_watch.saw(AWAY)
    assert path_watch.due(1.0) is not None


def test_a_socket_that_is_gone_is_reason_enough_until_there_is_another() -> None:
    path_watch = PathWatch(HOME, 0.0, offerer=True)
    path_watch.broke()
    assert "relay" in (path_watch.due(0.0) or "")
    path_watch.ended(0.5, moved=True, addresses=HOME)
    assert path_watch.due(0.6) is None


def test_the_addresses_are_looked_at_every_now_and_then() -> None:
    path_watch = PathWatch(HOME, 0.0, offerer=True)
    looks = [tenth for tenth in range(200) if path_watch.looks(tenth / 10)]
    assert len(looks) == 20 / ADDRESSES_SECONDS - 1


def test_attempts_that_fail_come_more_and_more_rarely_and_end() -> None:
    path_watch = PathWatch(HOME, 0.0, offerer=True)
    begun = [tenth / 10 for tenth in range(10_000) if path_watch.due(tenth / 10) is not None]
    assert len(begun) == MAX_ATTEMPTS
    pauses = [after - before for before, after in itertools.pairwise(begun)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= PAUSE_SECONDS


def test_another_network_is_another_chance() -> None:
    path_watch = PathWatch(HOME, 0.0, offerer=True)
    for second in range(1000):
        path_watch.due(float(second))
    path_watch.saw(AWAY)
    assert path_watch.due(1000.0) is not None


happenings = st.sampled_from(["consent", "home", "away", "nowhere", "broke", "moved", "failed", "look"])


@given(st.booleans(), st.lists(st.tuples(happenings, st.floats(0, 3)), max_size=200))
def test_whatever_happens_two_attempts_are_never_close_to_each_other(offerer: bool, happened: list[tuple[str, float]]) -> None:
    path_watch, now, begun = PathWatch(HOME, 0.0, offerer=offerer), 0.0, list[float]()
    for what, seconds in happened:
        now += seconds
        match what:
            case "consent":
                path_watch.consented(now)
            case "home" | "away" | "nowhere":
                path_watch.saw({"home": HOME, "away": AWAY, "nowhere": ()}[what])
            case "broke":
                path_watch.broke()
            case "moved" | "failed":
                path_watch.ended(now, moved=what == "moved", addresses=HOME)
            case _:
                path_watch.looks(now)
        if path_watch.due(now) is not None:
            begun.append(now)
    assert all(after - before >= PAUSE_SECONDS - 1e-9 for before, after in itertools.pairwise(begun))
