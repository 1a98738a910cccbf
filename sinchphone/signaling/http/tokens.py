"""Registration tokens and user tickets from a backend of the user's own (``token_url``): the application's secret stays there."""

import json
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from sinchphone.errors import AuthenticationError, ConfigError, NetworkError, PlatformError
from sinchphone.hosts import LOOPBACK_NAMES
from sinchphone.signaling.http.transport import OversizedAnswerError, connector, request

IN_THE_CLEAR_HINT = "a token that travels in the clear can be stolen"
TIMEOUT_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 16_384
_TICKET: Final = re.compile("[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+")  # a user ticket, which proves the same in the legacy dialect


async def fetch_token(url: str, user_id: str, *, ca_file: Path | None = None) -> str:
    """``GET url?user_id=…``: the token as plain text or as JSON ``{"token": …}``. ``ca_file``: authorities to be trusted beside the
    system's.

    Raises ConfigError for a URL that would send the token in the clear, AuthenticationError where the backend refuses or gives no
    token, PlatformError where it can't at the moment (429, 5xx), NetworkError where it doesn't answer.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK_NAMES:
        raise ConfigError("token_url must begin with https://", hint=IN_THE_CLEAR_HINT)
    try:
        async with aiohttp.ClientSession(connector=connector(ca_file)) as http:
            target = str(URL(url).update_query(user_id=user_id))
            answer = await request(http, "GET", target, timeout_s=TIMEOUT_SECONDS, limit_bytes=MAX_ANSWER_BYTES)
    except OversizedAnswerError as error:
        raise AuthenticationError(f"the backend at token_url gave no token: {error}") from error
    except NetworkError as error:
        raise NetworkError(f"the backend at token_url can't be reached: {error}", hint=error.hint or f"is {parts.hostname} up?") from error
    if answer.status == 429 or answer.status >= 500:
        text = f"the backend at token_url gives no token at the moment: HTTP {answer.status}"
        raise PlatformError(text, hint="try again in a moment", status=answer.status)
    if answer.status != 200:
        raise AuthenticationError(f"the backend at token_url gave no token: HTTP {answer.status}")
    return _token_in(answer.body)


def _token_in(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    if text.startswith("{"):
        try:
            found = json.loads(text).get("token")
        except (ValueError, RecursionError):
            found = None
        text = found if isinstance(found, str) else ""
    if not (text.count(".") == 2 or _TICKET.fullmatch(text)) or not text.isascii() or not text.isprintable():
        raise AuthenticationError(
            "what the backend at token_url answered is no token", hint='it should be a JWT (or user ticket), or {"token": JWT}'
        )
    return text
