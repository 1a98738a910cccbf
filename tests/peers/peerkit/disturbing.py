"""A relay in front of one SIP address over UDP that treats one message of a call in its own way: loses, doubles, delays or swaps its first
copy. Everything else passes."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from enum import Enum

from tests.peers.peerkit.lossy import Relay, placed

_HEAD = re.compile(rb"(?:SIP/2\.0 (?P<status>\d{3})|(?P<method>[A-Z]+) sip:)")
_CSEQ = re.compile(rb"^CSeq: *(\d+) +([A-Z]+)", re.MULTILINE)
_TAGGED = re.compile(rb"^To:.*;tag=", re.MULTILINE)


class Fate(Enum):
    """What happens to the first copy."""

    LOST = "lost"
    DOUBLED = "doubled"
    LATE = "late"
    SWAPPED = "swapped"  # with the message after it, whoever sends that


class DisturbingRelay(Relay):
    """``what``: a method, or a status and the method that it answers; an INVITE in a call, and its ACK, with ``re-`` before it."""

    def __init__(self, port: int, target: int, what: str, fate: Fate, late_s: float, *, renames: bool) -> None:
        super().__init__(port, target, lambda _: False, renames=renames)
        self.came: list[str] = []  # what every datagram was
        self._what = what
        self._fate = fate
        self._late_s = late_s
        self._changes: set[bytes] = set()  # numbers of INVITEs in the call
        self._held: Callable[[], object] | None = None

    @property
    def has_disturbed(self) -> bool:
        """Whether that message came at all."""
        return self._what in self.came

    def carry(self, data: bytes, send: Callable[[], object]) -> None:
        """Send it on, in its own way where it's the one."""
        kind = self._kind(data)
        is_first = kind == self._what and kind not in self.came
        self.came.append(kind)
        if not is_first:
            send()
            self._release()
            return
        match self._fate:
            case Fate.LOST:
                self.lost += 1
            case Fate.DOUBLED:
                send()
                send()
            case Fate.LATE:
                asyncio.get_running_loop().call_later(self._late_s, send)
            case Fate.SWAPPED:
                self._held = send
                asyncio.get_running_loop().call_later(self._late_s, self._release)  # nothing may come after it

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held()

    def _kind(self, data: bytes) -> str:
        head, cseq = _HEAD.match(data), _CSEQ.search(data)
        if head is None or cseq is None:
            return ""
        number, method = cseq[1], cseq[2].decode()
        if head["method"] == b"INVITE" and _TAGGED.search(data):
            self._changes.add(number)
        name = f"re-{method}" if method in ("INVITE", "ACK") and number in self._changes else method
        return name if head["status"] is None else f"{head['status'].decode()} {name}"


@contextlib.asynccontextmanager
async def disturbing(port: int, what: str, fate: Fate, late_s: float, *, renames: bool = True) -> AsyncIterator[DisturbingRelay]:
    """A relay that leads to ``port``."""
    async with placed(lambda own: DisturbingRelay(own, port, what, fate, late_s, renames=renames)) as relay:
        yield relay
