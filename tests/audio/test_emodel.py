"""The wideband E-model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.emodel import CODECS, RO, mos, rating

SHARES = st.floats(0, 1)
DELAYS = st.floats(0, 5000)


def test_a_clean_opus_line_is_excellent_and_a_telephone_is_fair() -> None:
    assert mos("opus", 0, 50) > 4.35
    assert 3.5 < mos("PCMU", 0, 50) < 4.0
    assert mos("PCMU", 0, 50) < mos("G722", 0, 50) < mos("opus", 0, 50)


@pytest.mark.parametrize(("delay_ms", "impairment"), [(100, 0.0), (150, 0.5), (200, 3.0), (400, 23.8)])
def test_delay_costs_what_g107_says(delay_ms: float, impairment: float) -> None:
    lost = rating("opus", 0, 0) - rating("opus", 0, delay_ms)
    assert lost == pytest.approx(impairment, abs=1.0)


@given(st.sampled_from(sorted(CODECS)), SHARES, SHARES, DELAYS)
def test_more_made_up_sound_is_never_better(codec: str, some: float, more: float, delay_ms: float) -> None:
    some, more = sorted((some, more))
    assert mos(codec, more, delay_ms) <= mos(codec, some, delay_ms) + 1e-9


@given(st.sampled_from([*sorted(CODECS), "unheard of"]), st.floats(-1, 2), st.floats(-100, 1e6))
def test_every_score_is_on_the_scale(codec: str, share: float, delay_ms: float) -> None:
    assert 1.0 <= mos(codec, share, delay_ms) <= 4.5
    assert 0.0 <= rating(codec, share, delay_ms) <= RO


@given(st.floats(0, 200), st.floats(0, 200), SHARES)
def test_fewer_bits_of_opus_are_never_better(some: float, more: float, share: float) -> None:
    some, more = sorted((some, more))
    assert mos("opus", share, 50, kbps=some) <= mos("opus", share, 50, kbps=more) + 1e-9


def test_bits_tell_of_opus_alone() -> None:
    assert mos("opus", 0, 50, kbps=12) < 3.5 < mos("opus", 0, 50, kbps=24) < mos("opus", 0, 50, kbps=45)
    assert mos("PCMU", 0, 50, kbps=12) == mos("PCMU", 0, 50)
