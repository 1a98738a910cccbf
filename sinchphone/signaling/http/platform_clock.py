"""How far a platform's clock is from ours: what is signed with a clock that is off is refused."""

import time
from pathlib import Path
from typing import Final

import aiohttp

from sinchphone.errors import PlatformError
from sinchphone.signaling.http.transport import OversizedAnswerError, connector, request

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 65_536


async def ask_clock(base_url: str, *, ca_file: Path | None = None) -> float:
    """How far the platform's clock is ahead of ours [s], by the Date of any answer (RFC 9110 6.6.1), which has whole seconds. Raises
    NetworkError where nobody answers, PlatformError where the answer says no time."""
    async with aiohttp.ClientSession(connector=connector(ca_file)) as http:
        before = time.time()
        try:
            answer = await request(http, "GET", base_url, timeout_s=TIMEOUT_S, limit_bytes=MAX_ANSWER_BYTES)
        except OversizedAnswerError as error:
            raise PlatformError(f"the platform doesn't say what time it is: {error}") from error
        now = (before + time.time()) / 2
    if answer.said_at is None:
        raise PlatformError("the platform doesn't say what time it is", status=answer.status)
    return answer.said_at + 0.5 - now
