"""What happens inside an exchange that runs in a terminal: a line for each event, as it happens."""

import sys
from typing import TYPE_CHECKING, Final

from sinchphone.cli.terminal.output.events.trace import TraceEventTold
from sinchphone.cli.terminal.session import Session
from sinchphone.cli.terminal.streams import is_read

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
                if session.report is None and not is_read(sys.stderr):
                    dropped += 1
                    continue
                if dropped:
                    session.note(_NOT_SHOWN.format(dropped))
                    dropped = 0
                session.tell(TraceEventTold.of(event))
