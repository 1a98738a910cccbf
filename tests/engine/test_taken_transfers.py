"""Somebody comes in the place of a call's peer: the call waits for who comes, even where it ends in that very moment."""

import asyncio
from typing import Any

from sinchphone.engine.calls.transfers.succession import Succession
from sinchphone.engine.transfers import Transfers


class ReplacedCall:
    """As much of a call as somebody else takes over."""

    id = "replaced"

    def __init__(self) -> None:
        self.succession: Succession[Any] = Succession()


class ComingCall:
    """A call that rings, and is never established."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    async def answer(self) -> None:
        self.answered.set()

    async def established(self) -> bool:
        return False


async def test_a_call_that_ends_as_somebody_comes_in_its_peers_place_waits_for_who_comes() -> None:
    async def place(*wish: Any) -> Any:
        raise AssertionError

    replaced: Any = ReplacedCall()
    coming: Any = ComingCall()
    transfers = Transfers(place, lambda: [replaced])
    transfers.take(replaced, coming)
    assert replaced.succession.goes_on  # what ends the call asks this, at the latest in the next turn of the loop
    assert await replaced.succession.outlast() is None
    assert coming.answered.is_set()
    await transfers.close()
