"""Session timers (RFC 4028): both sides agree on an interval and on who refreshes; a session that isn't refreshed ends.

::

    caller: asking() -> headers of INVITE      agreed(2xx) -> who refreshes, when
    callee: is_too_short(request) -> 422       answering(request) -> headers of 2xx
"""

import re
from typing import Final

from sinchphone.protocol.sip.message import HeaderLines, Request, Response

MIN_SECONDS: Final = 90  # RFC 4028 4
MAX_SECONDS: Final = 86_400
RETRY_SECONDS: Final = 5.0
_EXPIRES: Final = re.compile(r"\s*([0-9]{1,9})\s*(?:;(.*))?")


class SessionTimer:
    """The timer of one session. ``now`` is any clock that doesn't go back [s]."""

    def __init__(self, seconds: int) -> None:
        """``seconds``: what we ask for; 0 turns it off."""
        self._wanted = max(seconds, MIN_SECONDS) if seconds else 0
        self._least = MIN_SECONDS
        self._seconds = 0  # agreed; 0: no timer
        self._is_ours = False  # we refresh
        self._since = 0.0
        self._asked = False  # a refresh is under way
        self._not_before = 0.0

    @property
    def refresh_at(self) -> float | None:
        """When we are to refresh: at half the interval."""
        if not self._seconds or not self._is_ours or self._asked:
            return None
        return max(self._since + self._seconds / 2, self._not_before)

    @property
    def ends_at(self) -> float | None:
        """When the session is over without a refresh; the side that doesn't refresh gives up a little earlier (RFC 4028 10)."""
        return self._since + self._seconds - min(32.0, self._seconds / 3) if self._seconds else None

    def asking(self) -> HeaderLines:
        """Headers of an INVITE or UPDATE of ours."""
        if not self._wanted:
            return ()
        self._asked = True
        refresher = (";refresher=uac" if self._is_ours else ";refresher=uas") if self._seconds else ""
        return (("Session-Expires", f"{self._seconds or self._wanted}{refresher}"), ("Min-SE", str(self._least)))

    def raise_to(self, response: Response) -> bool:
        """Take the Min-SE of a 422; False where asking again is of no use."""
        least = response.number("Min-SE")
        if least is None or not self._wanted < least <= MAX_SECONDS:
            return False
        self._wanted = self._least = least
        return True

    def failed(self, now: float) -> None:
        """A refresh wasn't taken; another is tried a little later."""
        self._asked = False
        self._not_before = now + RETRY_SECONDS

    def agreed(self, response: Response, now: float) -> None:
        """Take the 2xx to our INVITE or UPDATE. Less than the shortest interval isn't for a callee to say (RFC 4028 9)."""
        self._asked = False
        seconds, refresher = read_session_expires(response)
        self._seconds = max(seconds, MIN_SECONDS) if seconds and self._wanted else 0
        self._is_ours = refresher != "uas"
        self._since = now

    def is_too_short(self, request: Request) -> bool:
        """Whether an INVITE or UPDATE wants shorter sessions than we take, and can be told so by 422."""
        return bool(self._wanted) and 0 < read_session_expires(request)[0] < MIN_SECONDS and _supports_timer(request)

    def answering(self, request: Request, now: float) -> HeaderLines:
        """Headers of our 2xx to an INVITE or UPDATE that isn't too short."""
        seconds, refresher = read_session_expires(request)
        if not self._wanted or (not seconds and self._seconds == 0 and request.method != "INVITE"):
            return ()
        if 0 < seconds < MIN_SECONDS:
            seconds = MIN_SECONDS
        least = request.number("Min-SE") or 0
        self._seconds = min(max(least, min(seconds or self._wanted, self._wanted)), MAX_SECONDS)
        if not _supports_timer(request):
            refresher = "uas"
        refresher = refresher or "uac"
        self._is_ours = refresher == "uas"
        self._since, self._asked = now, False
        required = (("Require", "timer"),) if refresher == "uac" else ()
        return (("Session-Expires", f"{self._seconds};refresher={refresher}"), *required)


def read_session_expires(message: Request | Response) -> tuple[int, str]:
    """Interval [s] and refresher (``uac``, ``uas`` or empty); 0 where there is none."""
    match = _EXPIRES.fullmatch(message.first("Session-Expires") or "")
    if match is None:
        return 0, ""
    words = re.findall(r"refresher\s*=\s*(uac|uas)", (match[2] or "").lower())
    return min(int(match[1]), MAX_SECONDS), words[0] if words else ""


def _supports_timer(request: Request) -> bool:
    return "timer" in request.tokens("Supported") | request.tokens("Require")
