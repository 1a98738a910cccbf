"""A keyboard for commands run in this process."""

import asyncio
from typing import Self

from sinchphone.cli.terminal.keyboard.parser import Paste


class FakeKeys:
    """Somebody who types what they are told to."""

    typed: asyncio.Queue[str | Paste]

    def __init__(self, stream: object) -> None:
        FakeKeys.typed = asyncio.Queue()
        self.usable = self.expected = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def release(self) -> None:
        pass

    def reclaim(self) -> None:
        pass

    def forget(self) -> None:
        pass

    async def press(self) -> str | Paste:
        return await self.typed.get()
