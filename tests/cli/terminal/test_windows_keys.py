"""Keys of the Windows console, which is made of nothing here."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from sinchphone.cli.terminal.keyboard.parser import Paste
from sinchphone.cli.terminal.keys import Dropped, Keys


class FakeConsole:
    """``msvcrt``, and somebody who types."""

    def __init__(self) -> None:
        self.typed: list[str] = []

    def kbhit(self) -> bool:
        return bool(self.typed)

    def getwch(self) -> str:
        return self.typed.pop(0)


@pytest.fixture
async def console() -> FakeConsole:
    return FakeConsole()


@pytest.fixture
async def keys(console: FakeConsole) -> AsyncIterator[Keys]:
    with Keys(None, console=console) as opened:
        yield opened


async def pressed(keys: Keys, count: int) -> list[object]:
    async with asyncio.timeout(10):
        return [await keys.press() for _ in range(count)]


async def test_keys_of_the_console_come_one_after_the_other(console: FakeConsole, keys: Keys) -> None:
    assert keys.usable
    console.typed += "a1\ré"
    assert await pressed(keys, 4) == ["a", "1", "\n", "é"]
    console.typed += "q"
    assert await pressed(keys, 1) == ["q"]


async def test_function_keys_of_the_console_are_no_letters(console: FakeConsole, keys: Keys) -> None:
    console.typed += ["\x00", ";", "\xe0", "H", "m"]  # F1, the upper arrow
    assert await pressed(keys, 1) == ["m"]


async def test_a_letter_that_begins_like_a_function_key_is_a_letter(console: FakeConsole, keys: Keys) -> None:
    console.typed += ["\xe0"]
    assert await pressed(keys, 1) == ["à"]


async def test_what_the_console_sends_goes_through_the_same_grammar(console: FakeConsole, keys: Keys) -> None:
    console.typed += "\x1b]11;rgb:aaaa\x1b\\\x1b[200~555\x1b[201~🎉".encode("utf-16-le").decode("utf-16-le")
    assert await pressed(keys, 2) == [Paste("555"), "🎉"]


async def test_ctrl_c_at_the_console_is_a_signal(console: FakeConsole, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    console.typed += ["\x03", "x"]
    assert await pressed(keys, 1) == ["x"]
    assert raised == [signal.SIGINT]


async def test_after_the_end_the_console_is_left_alone(console: FakeConsole) -> None:
    with Keys(None, console=console) as keys:
        pass
    console.typed += "q"
    await asyncio.sleep(0.1)
    assert not keys.usable
    assert console.typed == ["q"]


async def test_keys_that_nobody_takes_are_dropped_at_some_point_and_counted(console: FakeConsole, keys: Keys) -> None:
    console.typed += "1" * 2_000
    while console.typed:
        await asyncio.sleep(0.01)
    got = await pressed(keys, 1_025)
    assert got == ["1"] * 1_024 + [Dropped(976)]
