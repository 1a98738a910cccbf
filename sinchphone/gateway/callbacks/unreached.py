"""Why a server of somebody's backend gives no answer: its callbacks, files and streams."""

import os

import aiohttp

from sinchphone.errors import INSECURE
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tls import why_tls_failed


@quick_dataclass(frozen=True, slots=True)
class Unreached:
    """``why`` follows what came to nothing, after a colon; ``hint`` is empty where there is no better one than the caller's."""

    why: str
    hint: str = ""


def why_unreached(error: Exception, scheme: str) -> Unreached:
    """What an error of a request or a WebSocket to a URL of that scheme says. Not for what has sentences of its own: time that is up, an
    address that is refused, a status."""
    connecting = isinstance(error, aiohttp.ClientConnectorError)
    tls = why_tls_failed(error, connecting=connecting and scheme in ("https", "wss"))
    if tls is not None:
        return Unreached(f"{INSECURE}: {tls.reason}", tls.hint)
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Unreached("its name leads to no address")
        case aiohttp.ClientConnectorError():
            return Unreached(os.strerror(error.os_error.errno).lower() if error.os_error.errno else "no connection")
        case aiohttp.ClientResponseError():
            return Unreached("what it answers isn't HTTP")
        case aiohttp.InvalidURL():
            return Unreached("that URL can't be used")
        case aiohttp.ClientPayloadError():
            return Unreached("the connection was cut in the answer")
        case aiohttp.ClientConnectionError() | OSError():
            return Unreached("the connection was closed without an answer")
        case _:
            return Unreached("the request failed")
