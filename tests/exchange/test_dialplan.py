import pytest

from sinchphone.exchange.destinations.dialplan import NOBODYS_NUMBER, TEST_NUMBER, Plan, Verdict, Voice, is_simulated, plan_for
from sinchphone.exchange.refusals import RefusedError
from sinchphone.signaling.dialect import Domain


def test_a_users_name_is_left_to_the_users() -> None:
    assert plan_for(Domain.MXP, "bob") is None


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("echo", Plan()),
        ("tone", Plan(voice=Voice.TONE)),
        ("busy", Plan(Verdict.BUSY)),
        ("no-answer", Plan(Verdict.RING)),
        ("hangup-after:3s", Plan(talk_s=3.0)),
        ("hangup-after:250ms", Plan(talk_s=0.25)),
        ("answer-after:1.5m", Plan(ring_s=90.0)),
    ],
)
def test_built_in_names_have_their_plans(name: str, plan: Plan) -> None:
    assert plan_for(Domain.MXP, name) == plan


def test_the_test_number_says_that_the_call_is_connected_and_ends_it() -> None:
    assert plan_for(Domain.PSTN, "+46000000000") == Plan(recordings=("connected",), voice=Voice.SILENCE, ends_after_recordings=True)


def test_any_other_number_rings_then_says_what_was_called_then_echoes() -> None:
    assert plan_for(Domain.PSTN, "+14155550101") == Plan(ring_s=2.0, recordings=("called",), number="+14155550101")


@pytest.mark.parametrize("area", ["415", "212", "604"])
@pytest.mark.parametrize(
    ("ending", "plan"),
    [
        ("00", Plan(ring_s=1.0, recordings=("speech",), voice=Voice.SILENCE, ends_after_recordings=True)),
        ("02", Plan(Verdict.BUSY)),
        ("03", Plan(Verdict.RING)),
        ("04", Plan(Verdict.DECLINE, ring_s=0.5)),
        ("05", Plan(ring_s=1.0, digits="123")),
        ("06", Plan(ring_s=1.0, talk_s=3.0)),
        ("07", Plan(ring_s=1.0, recordings=("digit",), voice=Voice.SILENCE, repeats_digit=True)),
        ("08", Plan(ring_s=1.0, recordings=("bad-line",), voice=Voice.BAD_ECHO)),
        ("09", Plan(Verdict.FAIL, failure=(404, "this number is not allocated"))),
        ("11", Plan(ring_s=1.0, recordings=("machine",), beeps=True, voice=Voice.SILENCE, talk_s=35.0)),
        ("12", Plan(ring_s=1.0, recordings=("hello",), voice=Voice.SILENCE, talk_s=35.0)),
    ],
)
def test_numbers_that_nobody_has_behave_by_their_ending_in_every_area(area: str, ending: str, plan: Plan) -> None:
    assert plan_for(Domain.PSTN, f"+1{area}55501{ending}") == plan


@pytest.mark.parametrize("number", ["+14155550101", "+14155550110", "+14155550199", "+14155550200", "+441155550102", "+11155550102"])
def test_the_others_are_like_any_number(number: str) -> None:
    assert plan_for(Domain.PSTN, number) == Plan(ring_s=2.0, recordings=("called",), number=number)


def test_a_trunk_is_never_asked_for_the_numbers_that_nobody_has() -> None:
    assert all(map(is_simulated, (NOBODYS_NUMBER, TEST_NUMBER, "+12125550199")))
    assert not any(map(is_simulated, ("+14155550200", "+46700000000", "+1415555010", "+141555501000", "14155550100", "+1415555٠١٠٠")))


@pytest.mark.parametrize("number", ["14155550101", "+123", "+1234567890123456", "+0123456789", "+1415555010a"])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(RefusedError) as refused:
        plan_for(Domain.PSTN, number)
    assert refused.value.status == 400


def test_unknown_is_nobody() -> None:
    with pytest.raises(RefusedError) as refused:
        plan_for(Domain.MXP, "unknown")
    assert refused.value.status == 404


@pytest.mark.parametrize("name", ["hangup-after:", "hangup-after:3", "answer-after:-1s", "answer-after:61m", "answer-after:1e3s"])
def test_a_duration_that_cant_be_read_is_refused(name: str) -> None:
    with pytest.raises(RefusedError):
        plan_for(Domain.MXP, name)
