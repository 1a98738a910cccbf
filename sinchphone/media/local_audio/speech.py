"""Speaks texts: runs eSpeak NG, where this machine has it, with limits on time and length.

::

    text, locale -> espeak-ng (a process, the text on its standard input) -> .wav -> 48 kHz mono samples at -20 dBFS

What eSpeak NG would obey is taken out: SSML is read and written anew, and control characters, which are its commands, are spaces.
"""

import asyncio
import contextlib
import math
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from sinchphone.audio.frame import Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.errors import MediaError, RemoteProtocolError
from sinchphone.media.local_audio.files import decode
from sinchphone.protocol.callbacks.ssml import read_ssml

PROGRAM: Final = "espeak-ng"
SPEAK_SECONDS: Final = 10.0  # 600 characters take a tenth of a second
MAX_CHARACTERS: Final = 4096
MAX_SPOKEN_SECONDS: Final = 300.0
LEVEL_DBFS: Final = -20.0  # as the recordings
_AT_ONCE: Final = 2
_LOCALE: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_VOICE: Final = "en-us"  # the platform's own default
_WORDS_A_MINUTE: Final = "155"


def check_speakable(text: str, program: str = PROGRAM) -> str:
    """The path of what would speak it. Raises MediaError where nothing is there, or the text is none."""
    path = shutil.which(program)
    if path is None:
        raise MediaError(f"this machine can't speak: {program} is not installed", hint="sudo apt install espeak-ng")
    if not 0 < len(text) <= MAX_CHARACTERS:
        raise MediaError(f"a text to be spoken has 1 to {MAX_CHARACTERS} characters")
    return path


class Speech:
    """Speaks texts, a few at a time."""

    def __init__(self, program: str = PROGRAM, *, seconds: float = SPEAK_SECONDS) -> None:
        self._program = program
        self._seconds = seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def speak(self, text: str, locale: str | None = None, *, ssml: bool = False) -> Samples:
        """The text, spoken. ``locale`` is as in SVAML: ``en-GB``, ``en-US/male``; a voice's name is the default voice. Cancelling
        it is safe.

        Raises MediaError where this machine has no voice, or it fails, and for SSML that isn't read here (``protocol.ssml``).
        """
        path = check_speakable(text, self._program)
        text = _harmless_ssml(text) if ssml else _CONTROLS.sub(" ", text)
        async with self._turns:
            for voice in voices(locale):
                spoken = await self._run(path, voice, text, ssml)
                if spoken is not None:
                    return spoken
        raise MediaError("the text could not be spoken", hint=f"try it yourself: {self._program} hello")

    async def _run(self, path: str, voice: str, text: str, ssml: bool) -> Samples | None:
        """None where there is no such voice, or nothing to say."""
        with tempfile.TemporaryDirectory(prefix="sinchphone-") as folder:
            file = Path(folder) / "spoken.wav"
            marks = ["-m"] if ssml else []
            process = await asyncio.create_subprocess_exec(
                *(path, "-v", voice, "-s", _WORDS_A_MINUTE, *marks, "-w", str(file), "--stdin"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                async with asyncio.timeout(self._seconds):
                    await process.communicate(text.encode(errors="replace"))
            except TimeoutError as error:
                raise MediaError(f"{self._program} took longer than {self._seconds:g} s") from error
            finally:
                await _reap(process)
            if process.returncode != 0 or not file.exists():
                return None
            return await asyncio.to_thread(_load, file)


def _harmless_ssml(text: str) -> str:
    try:
        return read_ssml(text)
    except RemoteProtocolError as error:
        raise MediaError(str(error), hint=error.hint) from error


async def _reap(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


def voices(locale: str | None) -> tuple[str, ...]:
    """The voices to try for a locale, best first: en-gb-scotland, en-gb, en, and then the default."""
    named = (locale or "").partition("/")[0].lower()
    if not _LOCALE.fullmatch(named):
        return (_VOICE,)
    parts = named.split("-")
    return *("-".join(parts[:count]) for count in range(len(parts), 0, -1)), _VOICE


def _load(file: Path) -> Samples:
    samples = decode(str(file), max_seconds=MAX_SPOKEN_SECONDS)
    level = dbfs(samples)
    gain = 10 ** ((LEVEL_DBFS - level) / 20) if math.isfinite(level) else 1.0
    levelled: Samples = np.rint(np.clip(samples * gain, -32_768, 32_767)).astype(np.int16)
    return levelled
