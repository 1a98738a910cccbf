"""What happens inside an exchange that runs in a terminal: a line for each event, as it happens."""

import select
import sys
from typing import TYPE_CHECKING, Final

from sinchphone.cli.terminal.output.events.trace import TraceEventTold
from sinchphone.cli.terminal.session import Session

if TYPE_CHECKING:
    from sinchphone.exchange.server import Exchange

_NOT_SHOWN: Final = "events that weren't shown, since nobody read: {}"


async def tell_events(session: Session, hosted: "Exchange") -> None:
    """Tell them, for ever. Where nobody reads what we write, events are dropped: the exchange itself must not wait."""
    dropped = 0
    (application,) = hosted.directory.applications()
    with hosted.tracer.following(application) as following:
        while True:
            for event in await following.take():
                if session.report is None and not _takes_a_line():
                    dropped += 1
                    continue
                if dropped:
                    session.note(_NOT_SHOWN.format(dropped))
                    dropped = 0
                session.tell(TraceEventTold.of(event))


def _takes_a_line() -> bool:
    """Whether standard error takes a line without waiting (a pipe that is full doesn't)."""
    if sys.platform == "win32":
        return True
    try:
        return bool(select.select([], [sys.stderr], [], 0)[1])
    except (OSError, ValueError):
        return True  # no descriptor: nothing that could make us wait
