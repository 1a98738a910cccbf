"""How pictures are judged: what is alike, what stands still, and that a description leads to the relay alone."""

import math

import numpy as np
import pytest
import video
from line import Condition


def noise(seed: int) -> video.Luma:
    return np.random.default_rng(seed).integers(0, 256, (video.HEIGHT, video.WIDTH), np.uint8)


def test_the_same_picture_is_perfect_and_the_more_differs_the_worse_it_is() -> None:
    one = noise(1)
    near, far = (np.clip(one.astype(int) + offset, 0, 255).astype(np.uint8) for offset in (2, 30))
    assert video.psnr(one, one) == 60.0 and video.ssim(one, one) == pytest.approx(1.0)
    assert 60 > video.psnr(one, near) > video.psnr(one, far) > video.psnr(one, noise(2))
    assert 1 > video.ssim(one, near) > video.ssim(one, far) > video.ssim(one, noise(2))


def test_a_long_gap_is_a_freeze_and_a_slow_rate_is_none() -> None:
    steady = [number / 5 for number in range(50)]
    assert video.freezes(steady) == 0.0
    assert video.freezes([*steady, steady[-1] + 5.0]) == pytest.approx(5.0 / (5.0 + steady[-1]))


def test_only_what_was_taken_after_the_first_seconds_is_judged() -> None:
    sources = [noise(seed) for seed in range(3)]
    shown = [video.Shown(number, number / 15, number / 15 + 0.1, sources[number % 3]) for number in range(300)]
    found = video.judge(shown, sources, 20.0, 0.25)
    assert found.rate == pytest.approx(15.0, rel=0.01) and found.delay_ms == pytest.approx(100)
    assert (found.psnr, found.frozen, found.cpu) == (60.0, 0.0, 0.25)
    nothing = video.judge([], sources, 20.0, 0.25)
    assert nothing.rate == 0 and nothing.frozen == 1.0 and math.isnan(nothing.psnr)


def test_a_description_leads_to_the_relay_and_nowhere_else() -> None:
    first, second = "a=candidate:1 1 udp 5 192.0.2.7 9999 typ host generation 0", "a=candidate:2 1 tcp 5 192.0.2.7 9 typ host"
    told = f"v=0\r\n{first}\r\na=ice-ufrag:x\r\n{second}\r\n"
    assert video._address(told) == ("192.0.2.7", 9999)
    led = video._led_to(told, "127.0.0.1", 5000)
    assert led.count("a=candidate") == 1 and "127.0.0.1 5000 typ host" in led


def test_lines_have_names_of_their_own() -> None:
    assert len({each.name for each in video.LINES}) == len(video.LINES)
    assert all(isinstance(each, Condition) for each in video.LINES)
