"""``log_format = "json"``: standard error as one JSON object a line, with its level and the call that it is about."""

import asyncio
import io
import json
import logging
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from sinchphone.cli.terminal.output.events.trace import TraceEventTold
from sinchphone.cli.terminal.output.lines import Line
from sinchphone.cli.terminal.output.results import Warned
from sinchphone.cli.terminal.output.structured import level_of, write_object
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.session import set_up_logging
from sinchphone.exchange.record.current_call import current_call


def objects(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was written, each line an object."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@dataclass
class Log:
    NAMES: ClassVar[tuple[str, ...]] = ("sinchphone", "asyncio", "py.warnings")

    stream: io.StringIO
    screen: Screen


@pytest.fixture
def log() -> Any:
    stream = io.StringIO()
    screen = Screen(None, stream, structured=True)
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).level) for name in (*Log.NAMES, None)}
    yield Log(stream, screen)
    for name, (handlers, level) in before.items():
        logging.getLogger(name).handlers[:] = handlers
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize(
    ("text", "level"),
    [("warning: muted", "warning"), ("error: no network", "error"), ("ringing", "info"), ("debugging", "info"), ("", "info")],
)
def test_the_level_is_what_the_first_word_says(text: str, level: str) -> None:
    assert level_of(text) == level


def test_what_is_empty_is_left_out_and_nothing_moves_a_cursor() -> None:
    written = write_object("ada \x1b[2J\u202e calls", {"call": "", "logger": "sinchphone.x"}, now=1_795_944_743.12)
    assert written.isascii() and "\n" not in written
    expected = {"ts": "2026-11-29T09:32:23.120Z", "level": "info", "message": "ada \x1b[2J\u202e calls", "logger": "sinchphone.x"}
    assert json.loads(written) == expected


def test_a_log_line_says_where_it_is_from_and_of_which_call(log: Log) -> None:
    set_up_logging(log.screen, logging.WARNING)
    token = current_call.set("call-7")
    try:
        logging.getLogger("sinchphone.gateway.x").warning("the backend took %d s", 5)
    finally:
        current_call.reset(token)
    logging.getLogger("sinchphone.gateway.x").info("not from this level on")
    logging.getLogger("sinchphone.exchange").error("of no call")
    first, second = objects(log.stream)
    assert (first["level"], first["message"], first["call"]) == ("warning", "the backend took 5 s", "call-7")
    assert (first["logger"], second["level"], "call" in second) == ("sinchphone.gateway.x", "error", False)


async def test_the_tasks_of_a_call_log_its_id_and_no_other(log: Log) -> None:
    set_up_logging(log.screen, logging.WARNING)
    logger = logging.getLogger("sinchphone.exchange.calls")

    async def inner() -> None:
        await asyncio.sleep(0)
        logger.warning("inside")

    async def carry(call_id: str) -> None:
        current_call.set(call_id)
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())

    async with asyncio.TaskGroup() as calls:
        for name in ("one", "two"):
            calls.create_task(carry(name))
    logger.warning("outside")
    assert [one.get("call") for one in objects(log.stream)] == ["one", "two", None]


@pytest.mark.parametrize(("level", "told"), [(logging.WARNING, "ValueError"), (logging.DEBUG, "Traceback")])
def test_an_error_is_named_and_with_debug_its_traceback_is_in_the_same_line(log: Log, level: int, told: str) -> None:
    set_up_logging(log.screen, level)
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("sinchphone.x").exception("it failed")
    (entry,) = objects(log.stream)
    assert entry["message"] == "it failed" and entry["error"].startswith(told)


def test_a_warning_and_its_hint_are_one_entry(log: Log) -> None:
    log.screen.tell(Warned(message="anybody can reach it", hint="bind 127.0.0.1"))
    (entry,) = objects(log.stream)
    assert (entry["level"], entry["message"]) == ("warning", "warning: anybody can reach it\nhint: bind 127.0.0.1")


@pytest.mark.parametrize(("verbose", "lines"), [(False, 1), (True, 3)])
def test_an_event_is_one_entry_with_its_call_and_its_body_where_that_is_asked_for(verbose: bool, lines: int) -> None:
    stream = io.StringIO()
    event = TraceEventTold(
        number=1, at="2026-11-29T09:32:23.120Z", way="rest", call_id="call-7", source="ada", target="exchange", summary="POST /calls",
        failed=False, body="{\n}",
    )  # fmt: skip
    Screen(None, stream, structured=True, verbose=verbose).tell(event)
    (entry,) = objects(stream)
    assert entry["call"] == "call-7" and len(entry["message"].splitlines()) == lines


def test_results_stay_as_they_are_on_standard_output() -> None:
    out, err = io.StringIO(), io.StringIO()
    Screen(out, err, structured=True).write([Line("exchange http://127.0.0.1:4600", result=True), Line("Ctrl-C ends")])
    assert out.getvalue() == "exchange http://127.0.0.1:4600\n"
    assert [one["message"] for one in objects(err)] == ["Ctrl-C ends"]
