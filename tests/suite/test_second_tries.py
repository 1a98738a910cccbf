"""What is told of tests that were tried again."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.suite.second_tries import reason_of, tell_reasons


def failed_by(error: type[Exception]) -> Any:
    """The report of a test that waits for what doesn't come, or fails itself."""

    async def waits() -> None:
        if error is TimeoutError:
            await asyncio.wait_for(asyncio.Event().wait(), 0)
        raise error("the reason\nand more")

    with pytest.raises(error) as caught:
        asyncio.run(waits())
    return SimpleNamespace(nodeid="tests/test_it.py::test_it", longrepr=caught.getrepr())


@pytest.mark.parametrize(("error", "reason"), [(ValueError, "ValueError: the reason"), (TimeoutError, "TimeoutError")])
def test_the_reason_is_what_was_raised_and_the_line_of_the_tests(error: type[Exception], reason: str) -> None:
    told = reason_of(failed_by(error))
    name, line, what = told.split(":", 2)
    assert (name, what.strip()) == (Path(__file__).name, reason)
    assert int(line) < 30


def test_a_reason_that_is_but_a_text_is_told_by_its_last_line() -> None:
    assert reason_of(SimpleNamespace(longrepr="a worker\ncrashed\n")) == "crashed"


def test_nothing_is_told_where_nothing_was_tried_again() -> None:
    lines: list[str] = []
    terminal = SimpleNamespace(stats={}, write_sep=lambda _, title: lines.append(title), write_line=lines.append)
    tell_reasons(terminal)
    assert lines == []
    terminal.stats["rerun"] = [failed_by(ValueError)]
    tell_reasons(terminal)
    assert lines[0] == "why tests were tried again" and lines[1].startswith("tests/test_it.py::test_it: test_second_tries.py:")
