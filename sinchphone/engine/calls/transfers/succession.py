"""Which calls take the place of a call's peer, one after the other: the one that is being made, and the one that it goes on with."""

import asyncio
from typing import Generic, Protocol, TypeVar


class Successor(Protocol):
    """A call as the one sees it whose peer's place it takes."""

    async def hang_up(self) -> None:
        """End it."""

    async def closed(self) -> None:
        """Wait until it's over."""


SuccessorT = TypeVar("SuccessorT", bound=Successor)


class Succession(Generic[SuccessorT]):
    """Of one call."""

    def __init__(self) -> None:
        self.current: SuccessorT | None = None  # whose peer it is with
        self._expected: SuccessorT | None = None
        self._settled = asyncio.Event()

    @property
    def goes_on(self) -> bool:
        """Whether the call isn't over with its first peer."""
        return self._expected is not None or self.current is not None

    @property
    def is_open(self) -> bool:
        """Whether one is being made."""
        return self._expected is not None

    def expect(self, other: SuccessorT) -> None:
        """That one is being made; ``take`` or ``drop`` follows."""
        self._expected = other

    def take(self, other: SuccessorT) -> None:
        """That one has the peer's place."""
        self.current, self._expected = other, None
        self._settled.set()

    def drop(self) -> None:
        """Nothing came of it."""
        self._expected = None
        self._settled.set()

    async def give_up(self) -> None:
        """Hang up on the one that is being made."""
        if self._expected is not None:
            await self._expected.hang_up()

    async def outlast(self) -> SuccessorT | None:
        """Wait until nobody has the peer's place any more; who had it last, None where nobody ever had."""
        while True:
            if self._expected is not None:
                self._settled.clear()
                await self._settled.wait()
                continue
            last = self.current
            if last is None:
                return None
            await last.closed()
            if self.current is last and not self.is_open:
                return last
