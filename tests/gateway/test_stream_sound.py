"""What a stream's server has said and the caller hasn't heard yet."""

import tracemalloc

import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, silence
from sinchphone.gateway.svaml import stream
from sinchphone.gateway.svaml.stream import StreamSound
from sinchphone.protocol.callbacks.stream_messages import StreamCommand, read_command


async def test_what_was_said_and_not_heard_can_be_taken_back() -> None:
    sound = StreamSound(8000)
    sound.hear(b"\x00\x10" * 8000)
    assert sound.unheard_seconds == 1.0
    sound.clear()
    assert sound.unheard_seconds == 0.0
    assert not sound.tick(silence()).any()


async def test_attack_a_server_that_says_more_than_can_be_heard_loses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_BUFFERED_BYTES", 16_000)
    sound = StreamSound(8000)
    for _ in range(100):
        sound.hear(b"\x00\x10" * 800)
    assert sound.unheard_seconds == 1.0


async def test_attack_messages_of_a_sample_or_of_nothing_take_no_more_memory_than_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_BUFFERED_BYTES", 16_000)
    sound = StreamSound(8000)
    tracemalloc.start()
    try:
        for _ in range(8_000):
            sound.hear(b"\x00\x10")
            sound.hear(b"")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (sound.unheard_seconds, kept < 100_000) == (1.0, True)


async def test_half_a_sample_that_is_taken_back_leaves_its_other_half_in_step() -> None:
    sound = StreamSound(48_000)
    sound.hear(b"\x00\x10\x00")
    sound.clear()
    for _ in range(FRAME_SAMPLES):
        sound.hear(b"\x10\x00")
    assert (sound.tick(silence())[100:-100] == 0x1000).all()


async def test_a_sample_that_comes_in_two_messages_is_one() -> None:
    sound = StreamSound(48_000)
    for byte in [b"\x00", b"\x10"] * FRAME_SAMPLES:
        sound.hear(byte)
    assert sound.unheard_seconds == FRAME_SAMPLES / 48_000
    assert (sound.tick(silence())[100:-100] == 0x1000).all()


@pytest.mark.parametrize("text", ["", "[]", "null", '{"command": 7}', '{"command": "dance"}', "{" * 100_000])
def test_what_is_no_command_is_none(text: str) -> None:
    assert read_command(text) is None


def test_commands_are_read_in_any_case() -> None:
    assert read_command('{"command": "Clear"}') is StreamCommand.CLEAR
