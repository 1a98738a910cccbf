"""What one source may ask of the SIP side."""

from sinchphone.gateway.sip.limits import Admission, SourceLimits, Sources

TIGHT = SourceLimits(
    requests_at_once=5, requests_a_second=1, registrations_at_once=2, registrations_a_second=0.5, failures_at_once=3, failures_a_second=0.1
)


def judged(sources: Sources, host: str, method: str, times: int, now: float = 0.0) -> list[Admission]:
    return [sources.judge(host, method, now) for _ in range(times)]


def test_flood_of_requests_is_ignored_and_others_are_served() -> None:
    sources = Sources(TIGHT)
    assert judged(sources, "192.0.2.1", "OPTIONS", 6) == [Admission.TAKE] * 5 + [Admission.IGNORE]
    assert sources.judge("192.0.2.2", "OPTIONS", 0.0) is Admission.TAKE
    assert sources.judge("192.0.2.1", "OPTIONS", 1.0) is Admission.TAKE


def test_flood_of_registrations_is_refused_before_anything_is_looked_up() -> None:
    sources = Sources(TIGHT)
    assert judged(sources, "192.0.2.1", "REGISTER", 3) == [Admission.TAKE] * 2 + [Admission.REFUSE]
    assert sources.judge("192.0.2.1", "INVITE", 0.0) is Admission.TAKE


def test_guessing_passwords_makes_a_source_unheard_but_its_calls_can_end() -> None:
    sources = Sources(TIGHT)
    for _ in range(3):
        assert sources.judge("192.0.2.1", "INVITE", 0.0) is Admission.TAKE
        sources.count_failure("192.0.2.1", 0.0)
    assert sources.judge("192.0.2.1", "INVITE", 1.0) is Admission.REFUSE  # with a word: its owner should learn why
    assert sources.judge("192.0.2.1", "BYE", 2.0) is Admission.TAKE
    assert sources.judge("192.0.2.1", "INVITE", 20.0) is Admission.TAKE


def test_an_ipv6_subscriber_is_one_source_whatever_address_they_take() -> None:
    sources = Sources(TIGHT)
    verdicts = [sources.judge(f"2001:db8::{number:x}", "OPTIONS", 0.0) for number in range(6)]
    assert verdicts[-1] is Admission.IGNORE
    assert sources.judge("2001:db8:0:1::1", "OPTIONS", 0.0) is Admission.TAKE
    assert sources.judge("fe80::1%eth0", "OPTIONS", 0.0) is Admission.TAKE


def test_an_ipv4_address_is_the_same_source_however_it_is_written() -> None:
    sources = Sources(TIGHT)
    judged(sources, "192.0.2.1", "OPTIONS", 5)
    assert sources.judge("::ffff:192.0.2.1", "OPTIONS", 0.0) is Admission.IGNORE


def test_the_carrier_has_no_limit() -> None:
    sources = Sources(SourceLimits(requests_at_once=1, requests_a_second=0.1, trusted=frozenset({"192.0.2.1"})))
    sources.count_failure("192.0.2.1", 0.0)
    assert set(judged(sources, "192.0.2.1", "INVITE", 500)) == {Admission.TAKE}
