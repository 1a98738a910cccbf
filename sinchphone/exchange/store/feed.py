"""What several processes of one exchange tell each other, beside rows: messages, which Redis gives their order and their time tokens."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, Protocol, TypeAlias

from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class FeedMessage:
    """A message on a channel of one of the application's networks. ``kept_for``: the user for whom it waits, of that transport.
    ``is_piece``: of an instant message that isn't whole yet; ``network`` is then the key of its sender."""

    application: str
    network: str
    channel: str
    payload: Any = field(repr=False)
    size: int
    publisher: str = ""
    meta: Any = field(default=None, repr=False)
    owner: str = ""
    kept_for: str = ""
    transport_id: str = ""
    is_piece: bool = False


class Pieces(Protocol):
    """Bytes that one process hands to one other: too many for a message that all read."""

    async def lend(self, application: str, content: bytes) -> str:
        """Put bytes where another process can take them away, soon; under which name. Raises StoreError."""

    async def borrow(self, application: str, name: str) -> bytes:
        """Take them away: none where they aren't there any more. Raises StoreError."""


Receive: TypeAlias = Callable[[FeedMessage, int, bool], None]  # the message, its time token, whether this process sent it


class Feed(Protocol):
    """The messages of all processes in their one order."""

    def post(self, message: FeedMessage) -> "asyncio.Future[int]":
        """Have a message put in order soon, after everything so far: its time token. It comes back to every process, also to this one."""

    async def publish(self, messages: Sequence[FeedMessage]) -> list[int]:
        """Put messages in order, one after the other, and return when they are safe: their time tokens. Raises StoreError."""

    @property
    def token(self) -> int:
        """The time token of the last message that is known here."""

    def receive(self, receive: Receive) -> None:
        """Hand on what comes to that one."""
