"""Which entries of the history are meant: by time, by whom they were with, in any spelling of a number, and whether they were missed."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final

import typer

from sinchphone.cli.addressing.contacts import contacts_of
from sinchphone.cli.addressing.proposals import complete_account, complete_peer
from sinchphone.cli.terminal.flags.common import JsonFlags
from sinchphone.engine.history.past import Past, PastCall
from sinchphone.options import Options
from sinchphone.protocol.phone_numbers import is_same_number
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import parse_duration

_DAYS: Final = re.compile(r"(\d{1,6})d")


@quick_dataclass(frozen=True, kw_only=True)
class ChoiceFlags(JsonFlags):
    """Options that choose entries."""

    user: Annotated[
        str | None, typer.Option(metavar="ME", autocompletion=complete_account, help="Whose; the login name in the local environment.")
    ] = None
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="Only what was since then: 2h, 3d, 2026-11-21, 2026-11-21T09:00.")] = (
        None
    )
    missed: Annotated[bool, typer.Option("--missed", help="Only calls that nobody answered here.")] = False
    with_: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="WHO",
            autocompletion=complete_peer,
            help="Only what was with that user, address, @contact or number, however spelt.",
        ),
    ] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "user": self.user}

    @property
    def since_at(self) -> float:
        """From when on [s since the epoch]. Raises BadParameter."""
        return 0.0 if self.since is None else read_moment(self.since, time.time(), "--since")

    def chooser(self, options: Options) -> Callable[[Past], bool]:
        """Whether an entry is meant. Raises BadParameter, and of a contact that isn't there NotFoundError."""
        since, is_with = self.since_at, _with(self.with_, options)

        def is_meant(past: Past) -> bool:
            if self.missed and not (isinstance(past, PastCall) and past.is_missed):
                return False
            return past.at >= since and any(map(is_with, past.peers))

        return is_meant


def _with(who: str | None, options: Options) -> Callable[[str], bool]:
    if who is None:
        return lambda peer: True
    written = who.strip()
    if written.startswith("@"):
        identities = contacts_of(options).find(written).identities
        return cache(lambda peer: any(peer == one or is_same_number(peer, one) for one in identities))
    return cache(lambda peer: peer == written or is_same_number(peer, written))


def read_moment(text: str, now: float, option: str) -> float:
    """Seconds since the epoch, from ``2h``, ``3d`` (so long ago) or a date, in local time where it names no zone. Raises BadParameter."""
    days = _DAYS.fullmatch(text.strip())
    if days:
        return now - int(days[1]) * 86_400.0
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter("must be 90m, 2h, 3d, or a date such as 2026-11-21", param_hint=option) from error
