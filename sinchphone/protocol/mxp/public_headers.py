"""Public headers: names and values that travel with a call or a message as one JSON map (MXP v10, header ``ph``)."""

import json
from collections.abc import Mapping
from typing import Final

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.unicode import is_unicode

MAX_PUBLIC_HEADER_BYTES: Final = 1024  # of all together, names and values (Sinch SDK)
PUBLIC_HEADER_RULE: Final = f"at most {MAX_PUBLIC_HEADER_BYTES} bytes of headers"
HEADER: Final = "ph"


def check_public_headers(headers: Mapping[str, str], what: str) -> None:
    """Raises LocalProtocolError for headers of a ``what`` (call, message) that are too long."""
    size = sum(len(f"{name}{value}".encode(errors="replace")) for name, value in headers.items())
    if size > MAX_PUBLIC_HEADER_BYTES:
        raise LocalProtocolError(f"{what} headers of {size} bytes are too long", hint=f"at most {MAX_PUBLIC_HEADER_BYTES} bytes in all")


def fitting(headers: Mapping[str, str]) -> dict[str, str]:
    """As many of a peer's headers as a call may have, the first ones."""
    kept: dict[str, str] = {}
    left = MAX_PUBLIC_HEADER_BYTES
    for name, value in headers.items():
        left -= len(f"{name}{value}".encode(errors="replace"))
        if left < 0:
            break
        kept[name] = value
    return kept


def encode_public_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The MXP headers that carry public headers: none where there are none."""
    return {HEADER: json.dumps(dict(headers), ensure_ascii=False, separators=(",", ":"))} if headers else {}


def decode_public_headers(mxp_headers: Mapping[str, str]) -> dict[str, str]:
    """The public headers in a message's MXP headers; what can't be read is as if it were not there."""
    text = mxp_headers.get(HEADER, "")
    if not 0 < len(text) <= 4 * MAX_PUBLIC_HEADER_BYTES:
        return {}
    try:
        headers = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(headers, dict):
        return {}
    texts = {str(name): str(value) for name, value in headers.items()}
    return {name: value for name, value in texts.items() if is_unicode(name + value)}
