"""Opus by way of libopus: what goes in comes out, and what is missing can be made up or rebuilt."""

import contextlib
import ctypes
import ctypes.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.errors import MediaError
from sinchphone.media.codecs import opus
from sinchphone.media.codecs.opus import Decoder, Encoder, has_fec, is_background, packet_samples


def tone(hz: float, frames: int) -> Samples:
    return (8000 * np.sin(2 * np.pi * hz * np.arange(frames * FRAME_SAMPLES) / RATE)).astype(np.int16)


def syllables(frames: int) -> Samples:
    """Something that Opus takes for speech: a gliding buzz that comes and goes four times a second."""
    t = np.arange(frames * FRAME_SAMPLES) / RATE
    phase = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    return (4000 * buzz * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * t))).astype(np.int16)


def encoded(sound: Samples, *, fec: bool = False) -> list[bytes]:
    encoder = Encoder()
    if fec:
        encoder.set_fec(True)
        encoder.set_loss(15)
    return [encoder.encode(sound[i : i + FRAME_SAMPLES]) for i in range(0, len(sound), FRAME_SAMPLES)]


def rms(sound: Samples) -> float:
    return float(np.sqrt(np.mean(sound.astype(float) ** 2)))


def test_a_tone_comes_back_at_its_level_and_frequency() -> None:
    decoder = Decoder()
    result = np.concatenate([decoder.decode(p) for p in encoded(tone(440, 50))])[-24_000:]
    spectrum = np.abs(np.fft.rfft(result))
    assert np.argmax(spectrum) * RATE / len(result) == pytest.approx(440, abs=2)
    assert rms(result) == pytest.approx(8000 / np.sqrt(2), rel=0.03)


def test_the_bit_rate_is_kept_and_can_be_changed() -> None:
    sound, sizes = syllables(200), []
    encoder = Encoder()
    for bitrate in (40_000, 16_000):
        encoder.set_bitrate(bitrate)
        sizes.append(sum(len(encoder.encode(sound[i : i + FRAME_SAMPLES])) for i in range(0, len(sound), FRAME_SAMPLES)))
        assert sizes[-1] * 8 / 4.0 < bitrate * 1.1
    assert sizes[1] < 0.7 * sizes[0]


def test_a_packet_says_how_long_it_is() -> None:
    assert {packet_samples(p) for p in encoded(tone(440, 3))} == {FRAME_SAMPLES}
    encoder = Encoder()
    assert packet_samples(encoder.encode(silence(480))) == 480


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\xff\xff" * 3, b"\x7b\x3f"])
def test_what_is_no_packet_has_no_samples_and_is_refused(payload: bytes) -> None:
    assert packet_samples(payload) == 0
    with pytest.raises(MediaError):
        Decoder().decode(payload)


def test_concealment_is_as_long_as_asked_for_and_carries_on_the_tone() -> None:
    decoder = Decoder()
    for p in encoded(tone(440, 20)):
        decoder.decode(p)
    for samples in (480, 960, 100, 1):
        assert len(decoder.conceal(samples)) == samples
    decoder = Decoder()
    for p in encoded(tone(440, 20)):
        decoder.decode(p)
    assert rms(decoder.conceal(960)) > 2000


def test_concealment_before_any_packet_is_silence() -> None:
    assert not decoder_noise(Decoder().conceal(960))


def decoder_noise(sound: Samples) -> bool:
    return bool(np.abs(sound).max() > 1)


def test_a_lost_frame_is_rebuilt_from_the_copy_in_the_next_packet_much_better_than_made_up() -> None:
    sound = syllables(100)
    packets = encoded(sound, fec=True)
    errors: dict[str, float] = {"recover": 0.0, "conceal": 0.0}
    rebuilt = [i for i in range(10, 99, 4) if has_fec(packets[i + 1])]
    assert len(rebuilt) > 10
    for way in errors:
        clean, lossy = Decoder(), Decoder()
        for i, p in enumerate(packets):
            truth = clean.decode(p).astype(float)
            if i not in rebuilt:
                lossy.decode(p)
                continue
            made = lossy.recover(packets[i + 1], FRAME_SAMPLES) if way == "recover" else lossy.conceal(FRAME_SAMPLES)
            assert len(made) == FRAME_SAMPLES
            errors[way] += float(np.sum((made - truth) ** 2))
    assert errors["recover"] < 0.5 * errors["conceal"]


def test_the_end_of_a_lost_frame_is_the_end_of_the_whole_rebuilt_frame() -> None:
    packets = encoded(syllables(60), fec=True)
    lost = next(i for i in range(20, 59) if has_fec(packets[i + 1]))
    whole, end = Decoder(), Decoder()
    for p in packets[:lost]:
        whole.decode(p)
        end.decode(p)
    assert np.array_equal(whole.recover(packets[lost + 1], 960)[-480:], end.recover(packets[lost + 1], 480))


def test_copies_are_carried_only_when_they_are_asked_for() -> None:
    assert not any(has_fec(p) for p in encoded(syllables(100)))
    assert sum(has_fec(p) for p in encoded(syllables(100), fec=True)) > 40


def test_copies_are_seen_where_libopus_itself_sees_them() -> None:
    library = opus._library()
    if not hasattr(library, "opus_packet_has_lbrr"):
        pytest.skip("this libopus is older than the function to compare with")
    packets = encoded(syllables(200), fec=True) + encoded(syllables(50)) + encoded(tone(440, 50), fec=True)
    assert [has_fec(p) for p in packets] == [library.opus_packet_has_lbrr(p, len(p)) == 1 for p in packets]


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_copies_in_any_one_frame_packet_are_seen_where_libopus_sees_them(payload: bytes) -> None:
    library = opus._library()
    if not hasattr(library, "opus_packet_has_lbrr"):
        pytest.skip("this libopus is older than the function to compare with")
    if len(payload) > 1 and payload[0] & 3 == 0 and packet_samples(payload):
        assert has_fec(payload) == (library.opus_packet_has_lbrr(payload, len(payload)) == 1)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_bytes_decode_to_what_they_promise_or_raise_a_media_error(payloads: list[bytes]) -> None:
    decoder = Decoder()
    for payload in payloads:
        with contextlib.suppress(MediaError):
            assert len(decoder.decode(payload)) == packet_samples(payload)
        with contextlib.suppress(MediaError):
            assert len(decoder.recover(payload, 480)) == 480
        assert len(decoder.conceal(480)) == 480


def test_a_frame_that_opus_has_no_length_for_is_an_error_with_the_librarys_words() -> None:
    with pytest.raises(MediaError, match="libopus: invalid argument"):
        Encoder().encode(silence(961))


def test_the_library_comes_without_importing_av() -> None:
    code = "import sys, sinchphone.media.codecs.opus as o; o.Decoder(); assert 'av' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture
def no_library_known() -> Any:
    opus._library.cache_clear()
    yield
    opus._library.cache_clear()


@pytest.mark.usefixtures("no_library_known")
def test_without_any_libopus_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(MediaError) as caught:
        Decoder()
    assert "install" in caught.value.hint


@pytest.mark.usefixtures("no_library_known")
def test_a_file_that_is_not_libopus_is_passed_over_for_the_systems_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = opus._library()._name
    opus._library.cache_clear()
    (tmp_path / "av.libs").mkdir()
    (tmp_path / "av.libs" / "libopus-broken.so").write_bytes(b"not a library")
    (tmp_path / "av").mkdir()

    class Spec:
        origin = str(tmp_path / "av" / "__init__.py")

    monkeypatch.setattr(opus.importlib.util, "find_spec", lambda name: Spec)  # type: ignore[attr-defined]
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: real)
    assert packet_samples(Encoder().encode(silence())) == FRAME_SAMPLES


FROM_A_PREFIX = """
import ctypes.util, sys
ctypes.util.find_library = lambda name: None
sys.path.insert(0, sys.argv[1])
from sinchphone.media.codecs import opus
assert opus.packet_samples(opus.Encoder().encode(opus.np.zeros(960, "i2"))) == 960
print(open("/proc/self/maps").read())
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="builds a library for Linux")
def test_a_libopus_that_only_pyav_knows_the_way_to_is_found_once_pyav_is_imported(tmp_path: Path) -> None:
    """As where PyAV was built against a prefix of its own: its modules load libopus from there, and the loader finds it nowhere else."""
    real = Path(opus._library()._name)
    library = tmp_path / "prefix" / "libopus.so.0"
    library.parent.mkdir()
    command = ["cc", "-shared", "-Wl,-soname,libopus.so.0", "-Wl,--no-as-needed", f"-Wl,-rpath,{real.parent}", "-o", library, real]
    subprocess.run(command, check=True, timeout=60)  # type: ignore[arg-type]
    package = tmp_path / "site" / "av"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"import ctypes; ctypes.CDLL({str(library)!r})")
    done = subprocess.run(
        [sys.executable, "-c", FROM_A_PREFIX, str(package.parent)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {line.split()[-1] for line in done.stdout.splitlines() if "libopus.so" in line} == {str(library)}


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("bitrate", [16_000, 28_000, 40_000])
def test_packets_of_any_length_and_bit_rate_carry_copies_of_all_the_sound_before_them(frames: int, bitrate: int) -> None:
    """Left alone, Opus has no copies in packets of 40 and 60 ms from 24 kbit/s on: sound above 8 kHz is in frames of 20 ms."""
    encoder, decoder, sound = Encoder(), Decoder(), syllables(60)
    encoder.adapt(RedundancySetting(bitrate, fec_percent=25, frames=frames))
    packets = [encoder.encode(sound[i : i + frames * FRAME_SAMPLES]) for i in range(0, len(sound), frames * FRAME_SAMPLES)]
    assert sum(decoder.recoverable(packet) == frames * FRAME_SAMPLES for packet in packets[5:]) > 0.7 * len(packets[5:])


def test_long_packets_of_few_bits_have_no_sound_above_8_khz_whatever_was_sent_before() -> None:
    encoder, dice = Encoder(), np.random.default_rng(1)
    for frames, bitrate in ((1, 24_000), (3, 8_000), (3, 14_000), (3, 16_000), (3, 13_000)):
        encoder.adapt(RedundancySetting(bitrate, frames=frames))
        packets = [encoder.encode(dice.integers(-8_000, 8_000, frames * FRAME_SAMPLES).astype(np.int16)) for _ in range(25)]
        if frames > 1:
            assert max(packet[0] >> 3 for packet in packets[1:]) < 12  # SILK alone (RFC 6716 table 2)


def test_a_decoder_that_goes_back_decodes_as_if_nothing_had_been_made_up() -> None:
    packets = encoded(syllables(60))
    undisturbed, disturbed = Decoder(), Decoder()
    expected = [undisturbed.decode(packet) for packet in packets]
    for number, packet in enumerate(packets):
        if number % 7 == 3:
            assert disturbed.note()
            disturbed.conceal(480)
            disturbed.conceal(480)
            disturbed.go_back()
        assert np.array_equal(disturbed.decode(packet), expected[number])


def test_an_encoder_says_in_each_packet_whether_somebody_speaks() -> None:
    noise = np.random.default_rng(3).normal(0, 10, (100, FRAME_SAMPLES)).astype(np.int16)
    assert all(is_background(p) for p in encoded(noise.ravel())[20:])
    spoken = encoded(syllables(100))
    assert sum(not is_background(p) for p in spoken) > 80


@pytest.mark.parametrize(
    ("packet", "says_so"),
    [
        (b"\x08\x00x", True),  # SILK, 20 ms, mono
        (b"\x08\x80x", False),
        (b"\x08\x40x", True),  # a copy of the frame before, and nobody in this one
        (b"\x0c\x00x", True),  # two channels
        (b"\x0c\x20x", False),  # somebody in the second
        (b"\x18\x00x", True),  # 60 ms: three flags
        (b"\x18\x20x", False),  # somebody in the last third
        (b"\x1c\x0fx", False),  # stereo: the second channel's flags come after the first copy's
        (b"\x1c\x10x", True),
        (b"\x78\x00x", True),  # hybrid
        (b"\xf8\x00x", False),  # CELT alone doesn't tell
        (b"\x09\x00x", False),  # two frames
        (b"\x08", False),
        (b"", False),
    ],
)
def test_background_is_told_by_the_flags_of_all_frames_and_channels(packet: bytes, says_so: bool) -> None:
    assert is_background(packet) is says_so


def test_the_length_of_a_packet_is_read_as_libopus_reads_it() -> None:
    asked = opus._library().opus_packet_get_nb_samples
    asked.restype, asked.argtypes = ctypes.c_int, [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
    for first in range(256):
        for packet in (bytes((first,)), *(bytes((first, count, 1, 2)) for count in range(256))):
            said = asked(packet, len(packet), RATE)
            assert packet_samples(packet) == (said if 0 < said <= 5760 else 0), packet
