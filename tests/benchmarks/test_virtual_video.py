"""A video call on a virtual clock, over lines too narrow for it: the sound is as good as without pictures, which get smaller and fewer."""

import pytest
from line import Condition, narrow
from test_virtual_call import babble
from virtual_video import VirtualVideoCall

SECONDS = 7


@pytest.mark.parametrize(
    ("kbps", "queue_s", "rates", "heights"),
    [
        (64, 0.3, (0.0, 1.0), (0, 0)),  # sound and nothing else
        (128, 0.1, (3.0, 11.0), (90, 90)),
        (1_000, 0.3, (7.0, 16.0), (180, 360)),
    ],
)
def test_sound_comes_first_and_pictures_grow_with_what_it_leaves(
    kbps: int, queue_s: float, rates: tuple[float, float], heights: tuple[int, int]
) -> None:
    line, sound = narrow(f"{kbps} kbit/s", kbps, queue_s), babble(SECONDS)
    call, alone = VirtualVideoCall(line, sound).run(), VirtualVideoCall(line, sound, shows=False).run()
    assert call.made_up(0.5, SECONDS - 0.5) <= alone.made_up(0.5, SECONDS - 0.5) + 0.02
    assert call.queue(1, SECONDS) < 0.100
    assert rates[0] <= call.rate(3, SECONDS - 0.5) <= rates[1]
    tallest = max((setting.height for _, setting in call.settings if setting is not None), default=0)
    assert heights[0] <= tallest <= heights[1]
    assert all(setting is None or setting.bitrate < 1000 * kbps for _, setting in call.settings)
    assert not call.seen or max(one.at - one.taken_at for one in call.seen) < 0.6


def test_a_line_that_gets_narrow_costs_pictures_and_the_sound_is_back_soon() -> None:
    call = VirtualVideoCall(Condition("narrows", kbps=((0.0, 1_000.0), (4.0, 150.0))), babble(9)).run()
    assert call.made_up(0.5, 4.0) == 0.0
    assert call.made_up(5.5, 8.5) < 0.05
    before, after = call.setting_at(4.0), call.setting_at(6.5)
    assert before is not None and before.height >= 180
    assert after is None or after.bitrate < before.bitrate / 2


def test_pictures_come_back_on_a_line_that_was_too_narrow_for_a_while() -> None:
    call = VirtualVideoCall(Condition("dips", kbps=((0.0, 1_000.0), (2.0, 60.0), (4.0, 1_000.0))), babble(16)).run()
    assert call.rate(14.0, 15.5) >= 4.0
    assert call.made_up(5.0, 15.5) < 0.01


def test_jitter_alone_keeps_no_picture_small() -> None:
    call = VirtualVideoCall(Condition("jitter 40 ms", jitter_s=0.040), babble(8)).run()
    setting = call.setting_at(7.9)
    assert setting is not None and setting.height == 360
    assert call.made_up(2.0, 7.5) < 0.01


def test_lost_packets_are_sent_again_and_no_picture_stands_still() -> None:
    call = VirtualVideoCall(Condition("10 % in bursts of 3", loss=0.10, burst=3), babble(9)).run()
    assert call.rate(5.0, 8.5) > 14.0
    assert call._viewer.stats().pictures_dropped <= 3


@pytest.mark.parametrize("kbps", [64, 150, 400, 1_000])
@pytest.mark.parametrize("line", [Condition("clean"), Condition("10 % in bursts of 3", loss=0.10, burst=3)], ids=["clean", "10 %"])
def test_pictures_their_reports_and_what_is_sent_again_are_within_the_limit_of_the_sound(line: Condition, kbps: int) -> None:
    call = VirtualVideoCall(line, babble(SECONDS), max_kbps=kbps).run()
    seconds = [sum(size for at, size in call.sent if 0 <= begun - at < 1) * 8e-3 for begun, _ in call.sent]
    assert max(seconds) <= kbps
    assert call.made_up(1.0, SECONDS - 0.5) < 0.1
    assert kbps < 150 or call.rate(3, SECONDS - 0.5) > 3
