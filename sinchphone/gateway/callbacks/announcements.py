"""Turns a backend's ``say`` and ``playFiles`` into sound: speaks texts, fetches files, within limits.

::

    Say        -> Speech            \
    PlayFiles  -> Speech | HTTP GET -> decode -> 48 kHz mono samples
"""

import asyncio
import logging
import tempfile
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.errors import AudioFileError, MediaError
from sinchphone.exchange.access.address_policy import AddressPolicy, AddressRefusedError
from sinchphone.exchange.destinations.prompts import load
from sinchphone.gateway.callbacks.unreached import why_unreached
from sinchphone.media.local_audio.files import decode
from sinchphone.media.local_audio.speech import Speech
from sinchphone.protocol.callbacks.svaml import Fetched, PlayFiles, Prompt, Say, Spoken, Ssml
from sinchphone.tls import client_context

MAX_SOUND_FILE_BYTES: Final = 1_000_000  # Sinch Voice: media fetched from URLs
FETCH_SECONDS: Final = 5.0
MAX_SECONDS: Final = 300.0  # of one file, or one text
MAX_CACHED: Final = 32  # files
FRESH_SECONDS: Final = 60.0  # that a file is taken for unchanged: whoever changes a prompt hears it soon
_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}  # RFC 9110 8.4.1
_GZIP: Final = b"\x1f\x8b"  # how a member of gzip begins (RFC 1952 2.3.1)
_MAX_MEMBERS: Final = 16
_PAUSE_SAMPLES: Final = RATE // 10

_log = logging.getLogger(__name__)


class Announcements:
    """Renders announcements. ``async with`` isn't needed: ``close`` frees its connections."""

    def __init__(
        self,
        addresses: AddressPolicy,
        speech: Speech | None = None,
        *,
        ca_file: Path | None = None,
        fetch_seconds: float = FETCH_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``addresses`` says where files may be fetched from; ``ca_file``: authorities to be trusted beside the system's (PEM). Raises
        ConfigError."""
        self._addresses = addresses
        self._trust = client_context(ca_file)
        self._speech = speech or Speech()
        self._fetch_seconds = fetch_seconds
        self._http: aiohttp.ClientSession | None = None
        self._now = now
        self._files: OrderedDict[str, tuple[bytes, float]] = OrderedDict()  # and when they were fetched

    async def render(self, instruction: Say | PlayFiles) -> Samples:
        """What is to be heard. What can't be had is left out, with a warning in the log; silence of no length where nothing can."""
        prompts: tuple[Prompt, ...] = (Spoken(instruction.text),) if isinstance(instruction, Say) else instruction.prompts
        pieces: list[Samples] = []
        for prompt in prompts:
            try:
                pieces += [await self._render(prompt, instruction.locale), silence(_PAUSE_SAMPLES)]
            except MediaError as error:
                _log.warning("an announcement is left out: %s%s", error, f" ({error.hint})" if error.hint else "")
        return np.concatenate(pieces) if pieces else silence(0)

    async def failure(self) -> Samples:
        """What a caller hears where the backend gave no answer."""
        return await asyncio.to_thread(load, "error")

    async def decode(self, content: bytes) -> Samples:
        """A sound file's sound. Raises MediaError, also for what is too long."""
        return await asyncio.to_thread(_decode, content)

    async def close(self) -> None:
        """Close the connections. May be called twice."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def _render(self, prompt: Prompt, locale: str | None) -> Samples:
        match prompt:
            case Spoken(text):
                return await self._speech.speak(text, locale)
            case Ssml(text):
                return await self._speech.speak(text, locale, ssml=True)
            case Fetched(url):
                return await self.decode(await self._fetched(url))

    async def _fetched(self, url: str) -> bytes:
        content, fetched_at = self._files.get(url, (b"", float("-inf")))
        if self._now() - fetched_at > FRESH_SECONDS:
            content, fetched_at = await self._fetch(url), self._now()
        self._files[url] = content, fetched_at
        self._files.move_to_end(url)
        while len(self._files) > MAX_CACHED:
            self._files.popitem(last=False)
        return content

    async def _fetch(self, url: str) -> bytes:
        """Raises MediaError. Redirects aren't followed: a file of the backend's must not lead us into somebody's private network."""
        if self._http is None:
            self._http = self._addresses.session(auto_decompress=False)
        timeout = aiohttp.ClientTimeout(total=self._fetch_seconds)
        try:
            accepted = {"Accept-Encoding": ", ".join(_WINDOW_BITS)}
            async with self._http.get(url, headers=accepted, allow_redirects=False, timeout=timeout, ssl=self._trust) as response:
                if response.status != 200:
                    raise MediaError(f"a file could not be fetched: HTTP {response.status}")
                if "Content-Type" not in response.headers:
                    raise MediaError("a file could not be fetched: the server gives no Content-Type, which the platform insists on")
                return _unpacked(await _limited(response.content), response.headers.get("Content-Encoding", ""))
        except AddressRefusedError as error:
            raise MediaError(f"a file could not be fetched: {error}", hint=error.hint) from error
        except TimeoutError as error:
            raise MediaError(f"a file could not be fetched within {self._fetch_seconds:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            unreached = why_unreached(error, url.partition(":")[0].lower())
            raise MediaError(f"a file could not be fetched: {unreached.why}", hint=unreached.hint) from error


async def _limited(content: aiohttp.StreamReader) -> bytes:
    body = b""
    while chunk := await content.read(MAX_SOUND_FILE_BYTES):
        body += chunk
        if len(body) > MAX_SOUND_FILE_BYTES:
            raise _too_long()
    return body


def _unpacked(body: bytes, encoding: str) -> bytes:
    """The content of a body with that Content-Encoding (RFC 9110 8.4), never more than a file may have. Raises MediaError."""
    encoding = encoding.strip().lower().removeprefix("x-")
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOW_BITS:
        raise MediaError("a file could not be fetched: it's packed in a way that isn't known here")
    content = b""
    for _ in range(_MAX_MEMBERS):
        raw = encoding == "deflate" and not _is_zlib(body)
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS if raw else _WINDOW_BITS[encoding])
        try:
            content += unpacking.decompress(body, MAX_SOUND_FILE_BYTES + 1 - len(content))
        except zlib.error as error:
            raise MediaError("a file could not be fetched: what it's packed in is broken") from error
        if len(content) > MAX_SOUND_FILE_BYTES:  # the rest isn't looked at
            raise _too_long()
        if not unpacking.eof:
            raise MediaError("a file could not be fetched: what it's packed in is cut short")
        body = unpacking.unused_data
        if not body.startswith(_GZIP):
            return content
    raise MediaError("a file could not be fetched: it's packed in too many pieces")


def _is_zlib(body: bytes) -> bool:
    """Whether it begins as RFC 1950 2.2 has it; some servers send what stands inside alone."""
    return len(body) > 1 and body[0] & 15 == zlib.DEFLATED and (body[0] * 256 + body[1]) % 31 == 0


def _too_long() -> MediaError:
    return MediaError(f"a file could not be fetched: it has more than {MAX_SOUND_FILE_BYTES // 1_000_000} MB")


def _decode(content: bytes) -> Samples:
    with tempfile.TemporaryDirectory(prefix="sinchphone-") as folder:
        file = Path(folder) / "fetched"
        file.write_bytes(content)
        try:
            return decode(str(file), max_seconds=MAX_SECONDS)
        except AudioFileError as error:  # which says where we have put it
            raise MediaError("the file is not audio that can be played", hint=error.hint) from error
