"""An exchange whose answers to who places a call wait until the test lets them go: the called ends are quicker."""

import asyncio
from typing import Any

import pytest

from sinchphone.exchange.calls.calls import Calls


class HeldBack:
    """Those answers. What comes of the call in the meantime is as ever."""

    def __init__(self) -> None:
        self.may_go = asyncio.Event()


@pytest.fixture(name="held_back")
def held_back_fixture(monkeypatch: pytest.MonkeyPatch) -> HeldBack:
    held, place = HeldBack(), Calls.place

    async def slow(calls: Calls, *asked: Any, **more: Any) -> Any:
        placement = await place(calls, *asked, **more)
        await held.may_go.wait()
        return placement

    monkeypatch.setattr(Calls, "place", slow)
    return held
