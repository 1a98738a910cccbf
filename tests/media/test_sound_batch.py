"""Sound that is looked at later looks the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, Samples
from sinchphone.audio.levels.activity import Listener
from sinchphone.audio.levels.level import Meter
from sinchphone.media.sound_batch import SoundBatch


@given(st.lists(st.integers(0, 30_000), max_size=12), st.integers(1, 4))
def test_everything_is_looked_at_once_in_order_whatever_becomes_of_it(lengths: list[int], every: int) -> None:
    seen: list[int] = []
    batch = SoundBatch(lambda samples: seen.extend(samples.tolist()))
    said = np.arange(sum(lengths)).astype(np.int16)
    at = 0
    for index, length in enumerate(lengths):
        piece = said[at : at + length].copy()
        batch.push(piece)
        piece[:] = 0
        at += length
        if index % every == 0:
            batch.settle()
            assert seen == said[:at].tolist()
    batch.settle()
    assert seen == said.tolist()


def _speech(seconds: int) -> Samples:
    noise, at = np.random.default_rng(7), np.arange(seconds * 48_000)
    loudness = np.where(at // 24_000 % 2, 9_000, 30)
    return np.clip(noise.standard_normal(len(at)) * loudness, -32_768, 32_767).astype(np.int16)


def test_levels_and_activity_are_the_same_as_of_each_frame_by_itself() -> None:
    sound = _speech(3)
    meter, listener, later_meter, later = Meter(), Listener(), Meter(), Listener()
    metered, batch = SoundBatch(later_meter.push), SoundBatch(later.push)
    for begin in range(0, len(sound), FRAME_SAMPLES):
        frame = sound[begin : begin + FRAME_SAMPLES]
        meter.push(frame)
        listener.push(frame)
        metered.push(frame)
        batch.push(frame)
    metered.settle()
    batch.settle()
    assert later.activity == listener.activity
    assert listener.activity.speech
    assert later_meter.dbfs == pytest.approx(meter.dbfs)
