"""MXP v10 frames: cuts a payload into short texts that fit a publish, and puts the pieces together again.

::

    payload -> split -> frames ~~ pub/sub ~~> parse_fragment -> Reassembler.push -> payload
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, field, fields

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass

VERSION = "10"
SINGLE = "-"  # the tag of a message that fits into one frame
FRAME_CHARACTERS = 1400  # known clients cut at about 1500; percent-encoded into a publish URL this stays below 2 kB
MAX_FRAME_CHARACTERS = 32 * 1024  # PubNub's limit of a message
MAX_PAYLOAD_BYTES = 256 * 1024  # base64 text; the longest SDP we accept, escaped twice, needs about 120 kB
MAX_FRAGMENTS = 512
TAG_LIMIT = 2_000_000_000  # a tag is a number below that (MXP v10, frame layout)

_ID = "[!-~]{1,128}"
_FRAME = re.compile(
    f"{VERSION} (?P<session>{_ID}) (?P<tag>[!-~]{{1,32}}) (?P<index>[0-9]{{1,6}}) (?P<count>[0-9]{{1,6}})"
    f" (?P<payload>[A-Za-z0-9+/=]+)(?: (?P<transport>{_ID}))?"
)


@quick_dataclass(frozen=True, slots=True)
class Fragment:
    """One frame's content: piece ``index`` (from 0) of ``count``. ``transport_id`` marks instant messages, calls have none."""

    session_id: str
    tag: str
    index: int
    count: int
    payload: str = field(repr=False)
    transport_id: str | None = None

    @property
    def is_too_long(self) -> bool:
        """Whether the message that it's a piece of is longer than any that we put together. Pieces are equally long but for the last."""
        whole = len(self.payload) * (self.count - 1) if self.index < self.count - 1 else len(self.payload)
        return self.count > MAX_FRAGMENTS or whole > MAX_PAYLOAD_BYTES


def too_long(payload: str) -> LocalProtocolError:
    """What is said of a payload that no frames can carry."""
    return LocalProtocolError(f"a message of {len(payload)} bytes is too long to be sent")


def split(
    payload: str, session_id: str, tag: str, transport_id: str | None = None, *, frame_characters: int = FRAME_CHARACTERS
) -> list[str]:
    """The frames that carry a payload (base64 text), none longer than ``frame_characters``.

    ``tag`` tells this message's frames from those of others of the session: a random number below 2e9 in decimal. It's not
    used where one frame is enough. Raises LocalProtocolError where the parts can't make a frame or the payload is too long.
    """
    tail = "" if transport_id is None else f" {transport_id}"
    if len(f"{VERSION} {session_id} {SINGLE} 0 1 {payload}{tail}") <= frame_characters:
        return [_frame(Fragment(session_id, SINGLE, 0, 1, payload, transport_id))]
    room = frame_characters - len(f"{VERSION} {session_id} {tag} {MAX_FRAGMENTS} {MAX_FRAGMENTS} {tail}")
    if room < 1:
        raise LocalProtocolError(f"a frame of {frame_characters} characters has no room for a payload")
    slices = [payload[start : start + room] for start in range(0, len(payload), room)]
    if len(slices) > MAX_FRAGMENTS or len(payload) > MAX_PAYLOAD_BYTES:
        raise too_long(payload)
    return [_frame(Fragment(session_id, tag, index, len(slices), piece, transport_id)) for index, piece in enumerate(slices)]


def _frame(fragment: Fragment) -> str:
    tail = "" if fragment.transport_id is None else f" {fragment.transport_id}"
    frame = f"{VERSION} {fragment.session_id} {fragment.tag} {fragment.index} {fragment.count} {fragment.payload}{tail}"
    try:
        if parse_fragment(frame) == fragment:  # a space in a part would make it another frame
            return frame
    except RemoteProtocolError as error:
        raise LocalProtocolError("the session id, tag, transport id or payload can't be put into a frame") from error
    raise LocalProtocolError("the session id, tag, transport id or payload has a space")


def parse_fragment(frame: object) -> Fragment:
    """The content of a published frame (MXP v10, frame layout). Raises RemoteProtocolError for anything that isn't one."""
    if not isinstance(frame, str):
        raise RemoteProtocolError("the published message is not a text")
    if len(frame) > MAX_FRAME_CHARACTERS:
        raise RemoteProtocolError(f"a frame of {len(frame)} characters is too long")
    match = _FRAME.fullmatch(frame)
    if match is None:
        raise RemoteProtocolError("the published text is not an MXP frame of version 10")
    index, count = int(match["index"]), int(match["count"])
    if index >= count:
        raise RemoteProtocolError(f"frame {index} of {count} can't be")
    return Fragment(match["session"], match["tag"], index, count, match["payload"], match["transport"])


@quick_dataclass(frozen=True, slots=True)
class ReassemblyLimits:
    """What unfinished messages may take. Bytes are characters of base64."""

    message_bytes: int = MAX_PAYLOAD_BYTES
    fragments: int = MAX_FRAGMENTS
    pending_messages: int = 64
    pending_bytes: int = 2 * 1024 * 1024
    age_seconds: float = 60.0


@dataclass(slots=True)
class ReassemblyCounters:
    """Why fragments were dropped."""

    refused: int = 0  # fragments over a limit, or at odds with the others of their message
    repeated: int = 0  # fragments of a message that is complete already
    expired: int = 0  # messages that got too old
    crowded_out: int = 0  # messages that made room for newer ones

    @property
    def total(self) -> int:
        return sum(getattr(self, counter.name) for counter in fields(self))


@dataclass(slots=True)
class _Partial:
    count: int
    started_at: float
    pieces: dict[int, str] = field(default_factory=dict)
    size_bytes: int = 0


@quick_dataclass(frozen=True, slots=True)
class _Complete:
    """What tells a late repetition from a new message: not every client is known to use a tag only once."""

    completed_at: float
    hashes: tuple[int, ...]

    def has(self, fragment: Fragment) -> bool:
        return fragment.count == len(self.hashes) and hash(fragment.payload) == self.hashes[fragment.index]


class Reassembler:
    """Puts fragments together, in whatever order they come (MXP v10, reassembly by session id and tag).

    A fragment that comes again replaces the earlier one. Memory is bounded by the limits, whatever comes in.
    """

    def __init__(self, limits: ReassemblyLimits | None = None) -> None:
        self._limits = limits or ReassemblyLimits()
        self._pending: OrderedDict[tuple[str, str], _Partial] = OrderedDict()
        self._complete: OrderedDict[tuple[str, str], _Complete] = OrderedDict()
        self._pending_bytes = 0
        self.counters = ReassemblyCounters()

    @property
    def pending_messages(self) -> int:
        """How many messages wait for more fragments."""
        return len(self._pending)

    @property
    def pending_bytes(self) -> int:
        """How much payload the waiting messages hold."""
        return self._pending_bytes

    def push(self, fragment: Fragment, now: float) -> str | None:
        """Take a fragment at ``now`` [s, any steady clock]; the payload when it was the last one missing, else ``None``."""
        self._expire(now)
        if not self._acceptable(fragment):
            self.counters.refused += 1
            return None
        if fragment.count == 1:
            return fragment.payload
        key = (fragment.session_id, fragment.tag)
        if key in self._complete and self._complete[key].has(fragment):
            self.counters.repeated += 1
            return None
        return self._add(key, fragment, now)

    def _acceptable(self, fragment: Fragment) -> bool:
        limits = self._limits
        return 0 <= fragment.index < fragment.count <= limits.fragments and len(fragment.payload) <= limits.message_bytes

    def _add(self, key: tuple[str, str], fragment: Fragment, now: float) -> str | None:
        partial = self._pending.setdefault(key, _Partial(fragment.count, now))
        growth = len(fragment.payload) - len(partial.pieces.get(fragment.index, ""))
        if fragment.count != partial.count or partial.size_bytes + growth > self._limits.message_bytes:
            self.counters.refused += 1
            return None
        partial.pieces[fragment.index] = fragment.payload
        partial.size_bytes += growth
        self._pending_bytes += growth
        if len(partial.pieces) == partial.count:
            pieces = [partial.pieces[index] for index in range(partial.count)]
            self._forget(key)
            self._remember(key, _Complete(now, tuple(map(hash, pieces))))
            return "".join(pieces)
        self._make_room()
        return None

    def _remember(self, key: tuple[str, str], complete: _Complete) -> None:
        self._complete[key] = complete
        self._complete.move_to_end(key)
        while len(self._complete) > self._limits.pending_messages:
            self._complete.popitem(last=False)

    def _forget(self, key: tuple[str, str]) -> None:
        self._pending_bytes -= self._pending.pop(key).size_bytes

    def _expire(self, now: float) -> None:
        while self._pending and now - next(iter(self._pending.values())).started_at > self._limits.age_seconds:
            self._forget(next(iter(self._pending)))
            self.counters.expired += 1
        while self._complete and now - next(iter(self._complete.values())).completed_at > self._limits.age_seconds:
            self._complete.popitem(last=False)

    def _make_room(self) -> None:
        limits = self._limits
        while len(self._pending) > limits.pending_messages or self._pending_bytes > limits.pending_bytes:
            self._forget(next(iter(self._pending)))
            self.counters.crowded_out += 1
