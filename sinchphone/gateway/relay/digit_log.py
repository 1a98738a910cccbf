"""The digits that rtpengine says it heard (``--dtmf-log-dest``): JSON datagrams."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from sinchphone.gateway.relay.relay import Side
from sinchphone.protocol.digits import DIGITS

_MAX_LOG_BYTES: Final = 4096


class HearsDigits(Protocol):
    """A relay whose media run in rtpengine."""

    def heard_digit(self, side: Side, digit: str, duration_ms: int) -> None:
        """A side sent a digit."""


class DigitLog(asyncio.DatagramProtocol):
    """Takes rtpengine's reports of digits; a forged one names no relay, since their names are random."""

    def __init__(self, relays: Mapping[str, HearsDigits]) -> None:
        self._relays = relays

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with suppress(ValueError, KeyError, TypeError, RecursionError, OverflowError):
            said = json.loads(data[:_MAX_LOG_BYTES])
            side, event, duration = _side(str(said["source_tag"])), int(said["event"]), int(said["duration"])
            if 0 <= event < len(DIGITS) and 0 <= duration < 60_000:
                self._relays[said["callid"]].heard_digit(side, DIGITS[event], duration)


def _side(tag: str) -> Side:
    return Side(tag.partition("-")[0])
