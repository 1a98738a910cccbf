"""Facts as they are put into the record: as they came, undeciphered, and with their secrets. Readers see them only through ``tracing``.

They are never changed, though they aren't frozen: making a frozen one takes three times as long, and a call has some fifty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

MAX_BODY_BYTES: Final = 64 * 1024  # of one body that is kept; of longer ones that much
_OVERHEAD_BYTES: Final = 512  # what a fact takes beside its texts

RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]


@dataclass(eq=False, slots=True, kw_only=True)
class RestFact:
    """A request that was answered. ``user``: who asked, where that was proved; ``remote`` and ``local`` are addresses with ports."""

    seq: int
    answered_seq: int
    began_at: float
    at: float
    user: str
    remote: str
    local: str
    method: str
    path: str = field(repr=False)
    headers: RawHeaders = field(repr=False)
    body: bytes = field(repr=False)
    status: int
    answer: bytes = field(repr=False)

    @property
    def weight(self) -> int:
        """What it takes in memory [bytes], about."""
        return (
            _OVERHEAD_BYTES + len(self.path) + len(self.body) + len(self.answer) + sum(len(name) + len(one) for name, one in self.headers)
        )


@dataclass(eq=False, slots=True)
class PublishedFact:
    """Something was published. ``owner``: on whose account, nobody's where the exchange itself published."""

    seq: int
    at: float
    network: str = field(repr=False)
    channel: str = field(repr=False)
    payload: object = field(repr=False)
    publisher: str
    owner: str
    size: int

    @property
    def weight(self) -> int:
        """What it takes in memory [bytes], about."""
        return _OVERHEAD_BYTES + self.size


@dataclass(eq=False, slots=True)
class SipFact:
    """A SIP message came or was sent, decrypted. ``local`` is the address where we listen."""

    seq: int
    at: float
    data: bytes = field(repr=False)
    transport: str
    remote: tuple[str, int]
    local: tuple[str, int]
    is_ours: bool

    @property
    def weight(self) -> int:
        """What it takes in memory [bytes], about."""
        return _OVERHEAD_BYTES + len(self.data)


@dataclass(eq=False, slots=True, kw_only=True)
class CallbackFact:
    """A backend was told of an event. ``status`` is ``None`` where no answer came, and ``failure`` says why."""

    seq: int
    answered_seq: int
    began_at: float
    at: float
    url: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    status: int | None
    answer: bytes = field(default=b"", repr=False)
    failure: str = ""

    @property
    def weight(self) -> int:
        """What it takes in memory [bytes], about."""
        return _OVERHEAD_BYTES + len(self.url) + len(self.body) + len(self.answer)


@dataclass(eq=False, slots=True, kw_only=True)
class Note:
    """What the exchange says itself: of a call's life, or of its sound."""

    seq: int
    at: float
    about: Literal["call", "media"]
    source: str
    target: str
    text: str
    is_failure: bool = False

    @property
    def weight(self) -> int:
        """What it takes in memory [bytes], about."""
        return _OVERHEAD_BYTES + len(self.text)


Fact: TypeAlias = RestFact | PublishedFact | SipFact | CallbackFact | Note
