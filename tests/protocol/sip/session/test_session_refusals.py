"""What a refusal tells of itself beside its status: its own headers."""

from sinchphone.protocol.sip.session import vocabulary as v
from tests.protocol.sip.session.test_session import Caller, events


def test_a_refusal_tells_its_own_headers_and_no_others() -> None:
    (refused,) = events(Caller().answer(486, headers=(("X-Queue", "7"), ("Server", "pbx/1"), ("x-agent", "none"))))
    assert isinstance(refused, v.Refused)
    assert refused.headers == (("x-queue", "7"), ("x-agent", "none"))


def test_attack_a_refusal_with_countless_headers_is_told_with_a_few_of_limited_length() -> None:
    (refused,) = events(Caller().answer(486, headers=tuple((f"X-N{number}", "y" * 1000) for number in range(60))))
    assert isinstance(refused, v.Refused)
    assert len(refused.headers) <= 16
    assert all(len(value) <= 128 for _, value in refused.headers)
