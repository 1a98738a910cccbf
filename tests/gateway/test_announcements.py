import asyncio
import gzip
import io
import shutil
import tracemalloc
import wave
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import MediaError
from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.gateway.callbacks.announcements import FRESH_SECONDS, MAX_SOUND_FILE_BYTES, Announcements
from sinchphone.media.local_audio.files import decode
from sinchphone.media.local_audio.speech import Speech, voices
from sinchphone.protocol.callbacks.svaml import Fetched, PlayFiles, Say, Spoken, Ssml

LOOPBACK_ONLY = AddressPolicy(listens_on="127.0.0.1")
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs the package espeak-ng")


def wav(samples: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes(samples.tobytes())
    return file.getvalue()


TONE = wav(Sine(440.0).pull(RATE // 2))


@pytest.fixture
async def announcements() -> AsyncIterator[Announcements]:
    one = Announcements(LOOPBACK_ONLY, fetch_seconds=2.0)
    yield one
    await one.close()


@pytest.fixture
async def web_server() -> AsyncIterator[Callable[[Any], Any]]:
    """Serves one answer; gives its URL and a list with an entry for each request."""
    runners = []

    async def start(answer: Callable[[], web.StreamResponse]) -> tuple[str, list[str]]:
        asked: list[str] = []

        async def serve(request: web.Request) -> web.StreamResponse:
            asked.append(request.path)
            return answer()

        application = web.Application()
        application.router.add_get("/sound.wav", serve)
        runner = web.AppRunner(application)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/sound.wav", asked

    yield start
    for runner in runners:
        await runner.cleanup()


@needs_espeak
async def test_a_text_is_spoken_as_loud_as_the_recordings(announcements: Announcements) -> None:
    spoken = await announcements.render(Say("You are connected.", "en-GB"))
    assert 0.8 * RATE < len(spoken) < 4 * RATE
    assert dbfs(spoken) == pytest.approx(-20, abs=1.5)
    longer = await announcements.render(Say("You are connected. Please wait for a moment.", "en-GB"))
    assert len(longer) > 1.3 * len(spoken)


@needs_espeak
async def test_marks_of_speech_are_obeyed_in_ssml_alone() -> None:
    speech, text = Speech(), "<speak>one<break time='3s'/>two</speak>"
    paused = await speech.speak(text, ssml=True)
    assert 3.5 * RATE < len(paused) < 6 * RATE
    assert len(await speech.speak("one two")) < 2 * RATE


@needs_espeak
@pytest.mark.parametrize("locale", [None, "en-US/male", "Joanna", "xx-YY", "sv-SE"])
async def test_every_locale_has_some_voice(locale: str | None) -> None:
    assert len(await Speech().speak("hello", locale)) > 0.2 * RATE


@needs_espeak
@pytest.mark.parametrize("text", ["-w /tmp/attack.wav hello", "--version", "`touch /tmp/attack`", "a\x00b", "\ud800 hello"])
async def test_attack_a_text_is_neither_an_option_nor_a_command(text: str, tmp_path: Path) -> None:
    assert len(await Speech().speak(text)) > 0
    assert not Path("/tmp/attack.wav").exists()
    assert not Path("/tmp/attack").exists()


@needs_espeak
@pytest.mark.parametrize(
    "text", ["<audio src='{file}'/>", "<speak>hello <audio src='{file}'>x</audio></speak>", "<audio src='{file}$(touch {file}.run)'/>"]
)
async def test_attack_ssml_plays_no_file_of_this_machine_and_runs_nothing(text: str, tmp_path: Path) -> None:
    file = tmp_path / "private.wav"
    file.write_bytes(TONE)
    with pytest.raises(MediaError, match='an element "audio", which isn\'t read here'):
        await Speech().speak(text.format(file=file), ssml=True)
    assert [one.name for one in tmp_path.iterdir()] == ["private.wav"]


@needs_espeak
@pytest.mark.parametrize("text", ["hello &lt;audio src='{file}'/&gt;", "<![CDATA[<audio src='{file}'/>]]>"])
async def test_attack_escaped_marks_are_spoken_and_not_obeyed(text: str, tmp_path: Path) -> None:
    file = tmp_path / "private.wav"
    file.write_bytes(wav(Sine(440.0).pull(60 * RATE)))
    assert len(await Speech().speak(text.format(file=file), ssml=True)) < 40 * RATE


async def test_ssml_that_is_not_read_is_left_out_with_a_reason_and_the_rest_is_played(
    web_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url, _ = await web_server(lambda: web.Response(body=TONE, content_type="audio/wav"))
    announcements = Announcements(LOOPBACK_ONLY, Speech("true"))
    heard = await announcements.render(PlayFiles((Ssml("<audio src='/etc/hostname.wav'/>"), Fetched(url)), "en-US"))
    assert 0.5 * RATE <= len(heard) < 0.7 * RATE
    assert 'an announcement is left out: the SSML has an element "audio"' in caplog.text
    await announcements.close()


@pytest.mark.parametrize(
    ("locale", "tried"),
    [
        ("en-GB-Scotland", ("en-gb-scotland", "en-gb", "en", "en-us")),
        ("de", ("de", "en-us")),
        ("Joanna", ("en-us",)),
        ("en-US/female", ("en-us", "en", "en-us")),
        (None, ("en-us",)),
        ("../../etc", ("en-us",)),
        ("-w", ("en-us",)),
    ],
)
def test_a_locale_names_voices(locale: str | None, tried: tuple[str, ...]) -> None:
    assert voices(locale) == tried


async def test_a_machine_without_a_voice_says_what_to_install() -> None:
    with pytest.raises(MediaError, match="can't speak") as refused:
        await Speech("no-such-program").speak("hello")
    assert "espeak-ng" in refused.value.hint


async def test_a_voice_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    async with asyncio.timeout(20):
        with pytest.raises(MediaError, match="longer than"):
            await Speech(str(program), seconds=0.2).speak("hello")


async def test_a_voice_that_fails_is_an_error() -> None:
    with pytest.raises(MediaError, match="could not be spoken"):
        await Speech("false").speak("hello")


async def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(MediaError, match="characters"):
        await Speech("true").speak("x" * 4097)


async def test_a_file_is_fetched_once_and_again_when_it_may_have_changed(web_server: Any) -> None:
    url, asked = await web_server(lambda: web.Response(body=TONE, content_type="audio/wav"))
    times = [0.0]
    announcements = Announcements(LOOPBACK_ONLY, now=lambda: times[0])
    for now, requests in ((0.0, 1), (FRESH_SECONDS, 1), (FRESH_SECONDS + 1.0, 2), (FRESH_SECONDS + 2.0, 2)):
        times[0] = now
        heard = await announcements.render(PlayFiles((Fetched(url),)))
        assert share(heard[: RATE // 2], 440.0) > 0.99
        assert len(asked) == requests
    await announcements.close()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=404),
        lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}),
        lambda: web.Response(body=b"x" * (MAX_SOUND_FILE_BYTES + 1), content_type="audio/wav"),
        lambda: web.Response(body=b"not sound at all", content_type="audio/wav"),
        lambda: web.Response(body=b"", content_type="audio/wav"),
    ],
)
async def test_what_is_no_sound_is_left_out_with_a_warning(
    announcements: Announcements, web_server: Any, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url, _ = await web_server(answer)
    assert len(await announcements.render(PlayFiles((Fetched(url), Fetched("http://127.0.0.1:9/"))))) == 0
    assert len([record for record in caplog.records if "left out" in record.message]) == 2


def raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


def packed(body: bytes, encoding: str) -> Callable[[], web.Response]:
    return lambda: web.Response(body=body, content_type="audio/wav", headers={"Content-Encoding": encoding})


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(TONE), "gzip"),
        (gzip.compress(TONE), "X-GZip"),
        (zlib.compress(TONE), "deflate"),
        (raw_deflate(TONE), "deflate"),  # as some servers have it
        (gzip.compress(TONE[:999]) + gzip.compress(TONE[999:]), "gzip"),
        (gzip.compress(TONE) + b"\x00" * 100, "gzip"),
        (TONE, "identity"),
    ],
)
async def test_a_file_that_is_served_packed_is_heard(announcements: Announcements, web_server: Any, body: bytes, encoding: str) -> None:
    url, _ = await web_server(packed(body, encoding))
    heard = await announcements.render(PlayFiles((Fetched(url),)))
    assert share(heard[: RATE // 2], 440.0) > 0.99


@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [
        (gzip.compress(TONE)[:-9], "gzip", "cut short"),
        (b"x" + gzip.compress(TONE), "gzip", "broken"),
        (TONE, "deflate", "broken"),
        (TONE, "br", "isn't known"),
        (gzip.compress(gzip.compress(TONE)), "gzip, gzip", "isn't known"),
        (gzip.compress(b"") * 1000, "gzip", "too many pieces"),
        (gzip.compress(b"\x00" * MAX_SOUND_FILE_BYTES) + gzip.compress(b"\x00"), "gzip", "more than 1 MB"),
    ],
)
async def test_what_cannot_be_unpacked_is_left_out_with_a_warning(
    announcements: Announcements, web_server: Any, body: bytes, encoding: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    url, _ = await web_server(packed(body, encoding))
    assert len(await announcements.render(PlayFiles((Fetched(url),)))) == 0
    assert why in caplog.text


async def test_attack_a_small_file_that_unpacks_to_gigabytes_costs_no_memory(
    announcements: Announcements, web_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    packing = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(packing.compress(b"\x00" * 1_000_000) for _ in range(600)) + packing.flush()
    assert len(bomb) < MAX_SOUND_FILE_BYTES
    url, _ = await web_server(packed(bomb, "gzip"))
    tracemalloc.start()
    try:
        assert len(await announcements.render(PlayFiles((Fetched(url),)))) == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than 1 MB" in caplog.text
    assert peak < 16 * MAX_SOUND_FILE_BYTES


async def test_without_a_voice_the_files_are_played_all_the_same(web_server: Any) -> None:
    url, _ = await web_server(lambda: web.Response(body=TONE, content_type="audio/wav"))
    announcements = Announcements(LOOPBACK_ONLY, Speech("no-such-program"))
    heard = await announcements.render(PlayFiles((Spoken("a"), Fetched(url), Ssml("<speak>b</speak>")), "en-US"))
    assert 0.5 * RATE <= len(heard) < 0.7 * RATE
    await announcements.close()


@pytest.mark.parametrize(
    ("listens_on", "host", "why"),
    [
        ("0.0.0.0", "127.0.0.1", "on this machine or in a private network"),
        ("0.0.0.0", "localhost", "on this machine or in a private network"),
        ("127.0.0.1", "0.0.0.0", "link-local or metadata"),
        ("127.0.0.1", "169.254.169.254", "link-local or metadata"),
    ],
)
async def test_attack_an_announcement_reaches_no_inner_host(
    listens_on: str, host: str, why: str, web_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url, asked = await web_server(lambda: web.Response(body=TONE, content_type="audio/wav"))
    announcements = Announcements(AddressPolicy(listens_on=listens_on), fetch_seconds=5.0)
    assert len(await announcements.render(PlayFiles((Fetched(url.replace("127.0.0.1", host)),)))) == 0
    assert (why in caplog.text, asked) == (True, [])
    await announcements.close()


def test_attack_a_small_file_with_hours_of_silence_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "long.wav"
    file.write_bytes(wav(np.zeros(10 * RATE, np.int16)))
    assert len(decode(str(file), max_seconds=1.5)) == 1.5 * RATE


async def test_a_failed_backend_has_an_announcement_of_its_own(announcements: Announcements) -> None:
    assert 3 * RATE < len(await announcements.failure()) < 8 * RATE
