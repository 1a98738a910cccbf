"""Bodies of requests: read up to a limit, as they were sent (a signature covers that), and unpacked."""

import asyncio
import zlib

from aiohttp import web

from sinchphone.exchange.record.requests import note_body
from sinchphone.exchange.refusals import RefusedError, invalid, too_large
from sinchphone.signaling.wire import ErrorCode

BODY_SECONDS = 30.0  # for all of it
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


async def read_body(request: web.Request, limit_bytes: int) -> bytes:
    """The body as it was sent. Raises RefusedError where it's longer than ``limit_bytes``."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit_bytes:
                    raise too_large(f"the body has more than {limit_bytes} bytes")
    except TimeoutError as error:
        raise RefusedError(408, ErrorCode.INVALID_REQUEST, f"the body didn't come within {BODY_SECONDS:g} s") from error
    content = bytes(body)
    note_body(request, content)
    return content


def unpack(body: bytes, content_encoding: str, limit_bytes: int) -> bytes:
    """The content of a body. Raises RefusedError where it isn't packed as said, or has more than ``limit_bytes``."""
    match content_encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "deflate":
            return _inflate(body, limit_bytes)
        case _:
            raise invalid("Content-Encoding: only gzip and deflate can be read")


def _inflate(body: bytes, limit_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        content = unpacker.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise invalid("the body is not packed as Content-Encoding says") from error
    if len(content) > limit_bytes:
        raise too_large(f"the unpacked body has more than {limit_bytes} bytes")
    if not unpacker.eof:
        raise invalid("the packed body is cut short")
    return content
