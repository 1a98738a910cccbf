"""National tones."""

import numpy as np
import pytest

from sinchphone.audio.frame import RATE
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.national import PLANS, plans_of
from sinchphone.audio.tones.signals import EUROPEAN, UNITED_STATES, render
from sinchphone.options import KEYS


@pytest.mark.parametrize("name", ["ringback", "busy", "congestion", "ringtone"])
def test_every_country_has_every_tone_at_a_level_that_is_pleasant(name: str) -> None:
    """Many have the same."""
    for plan in {plans[name] for plans in PLANS.values()}:
        period = render(plan)
        assert 0.3 < len(period) / RATE < 8, plan
        assert -40 < dbfs(period) < -15, plan
        assert np.abs(period).max() < 32_000, plan


@pytest.mark.parametrize("country", sorted(PLANS))
def test_a_waiting_call_is_heard_for_a_moment_and_then_speech_alone_for_long(country: str) -> None:
    period = render(PLANS[country]["waiting"])
    loud = np.abs(period[: len(period) // 480 * 480]).reshape(-1, 480).max(axis=1) > 100
    assert 0.04 <= loud.sum() / 100 <= 1.1
    assert loud[:4].any() and loud.mean() < 0.2
    assert dbfs(period[:480]) == pytest.approx(-26, abs=2)


def test_britain_rings_twice_and_sweden_at_425_hz() -> None:
    ring = render(plans_of("gb")["ringback"])
    loud = np.abs(ring).reshape(-1, 960).max(axis=1) > 100
    assert np.count_nonzero(np.diff(loud.astype(int)) == -1) == 2
    assert share(render(plans_of("SE")["busy"])[: RATE // 4], 425) > 0.95


def test_a_country_that_is_not_known_sounds_european_and_canada_american() -> None:
    assert plans_of("xx") is EUROPEAN
    assert plans_of("") is EUROPEAN
    assert plans_of("ca") is UNITED_STATES


def test_the_configuration_takes_every_country_that_there_is_and_no_other() -> None:
    tones = KEYS["audio.tones"]
    assert [tones.read(country) for country in PLANS] == list(PLANS)
    with pytest.raises(ValueError, match="europe, us"):
        tones.read("xx")
