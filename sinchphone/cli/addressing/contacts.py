"""Contacts: people and rooms by short names of one's own, in SQLite in the state folder (contacts.db, 0600).

::

    contacts add mum +46… --user mum   ->  "mum": the number, and who she is on the platform
    call @mum                          ->  what was given first: the number
    send-message @mum                  ->  the user
"""

import re
import sqlite3
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

from sinchphone.cli.addressing.destination import Destination, Kind, read_destination
from sinchphone.database import connect, hint_of, in_transaction, reason_of
from sinchphone.errors import ConfigError, DestinationError, NotFoundError
from sinchphone.options import Options
from sinchphone.quick_dataclass import quick_dataclass

NAME_RULE: Final = "1 to 64 letters, digits, . _ - and +, the first a letter or a digit"
MAX_CONTACTS: Final = 10_000
_NAME: Final = r"[^\W_][\w.+-]{0,63}"
_MIGRATIONS: Final = (
    "CREATE TABLE contacts (key TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, identity TEXT NOT NULL, user TEXT) WITHOUT ROWID",
)

T = TypeVar("T")


@quick_dataclass(frozen=True, slots=True)
class AddressBookEntry:
    """Somebody by a short name. ``destination`` is what ``call @name`` dials; ``user`` who they are on the platform, where that's known."""

    name: str
    destination: Destination
    user: str | None = None

    @property
    def identities(self) -> frozenset[str]:
        """Everything they are called by: a number, an address, a user id."""
        return frozenset({self.destination.identity} | ({self.user} if self.user else set()))


def read_name(text: str) -> str:
    """A contact's name, with or without its @. Raises DestinationError."""
    name = unicodedata.normalize("NFC", text.strip().removeprefix("@"))
    if not re.fullmatch(_NAME, name):
        raise DestinationError(f"\"{text}\" can't be a contact's name", hint=f"a contact's name has {NAME_RULE}")
    return name


class AddressBook:
    """Everybody one knows. Names differ by more than capitals."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self) -> list[AddressBookEntry]:
        """All, by name. Raises ConfigError."""
        return self._with_file(lambda base: [_contact(*row) for row in base.execute(f"{_ALL} ORDER BY key")], otherwise=[])

    def find(self, text: str) -> AddressBookEntry:
        """The contact of that name. Raises DestinationError for what can't be one, NotFoundError and ConfigError."""
        name = read_name(text)
        row = self._with_file(lambda base: base.execute(f"{_ALL} WHERE key=?", (_key(name),)).fetchone(), otherwise=None)
        if row is None:
            raise self._unknown(name)
        return _contact(*row)

    def names(self) -> dict[str, str]:
        """The name of everybody by their numbers, addresses and user ids; of one number with two names the first. Never raises: who
        calls is told without a name where the contacts can't be read."""
        try:
            found = self.list()
        except ConfigError:
            return {}
        return {identity: contact.name for contact in reversed(found) for identity in contact.identities}

    def add(self, contact: AddressBookEntry, *, force: bool = False) -> None:
        """Keep a contact; with ``force`` also in the place of one of that name. Raises DestinationError and ConfigError."""
        destination = contact.destination
        row = (_key(contact.name), contact.name, destination.kind.value, destination.identity, contact.user)

        def add(base: sqlite3.Connection) -> None:
            if not force and base.execute("SELECT 1 FROM contacts WHERE key=?", row[:1]).fetchone():
                raise DestinationError(f"there is a contact {contact.name} already", hint="--force replaces it")
            if base.execute("SELECT count(*) FROM contacts").fetchone()[0] >= MAX_CONTACTS:
                raise DestinationError(
                    f"there are {MAX_CONTACTS} contacts already: that's all there can be", hint="sinchphone contacts remove NAME makes room"
                )
            base.execute("INSERT OR REPLACE INTO contacts VALUES (?,?,?,?,?)", row)

        self._with_file(lambda base: in_transaction(base, add), make=True, otherwise=None)

    def remove(self, text: str) -> AddressBookEntry:
        """Forget a contact; who it was. Raises what ``find`` raises."""
        name = read_name(text)

        def remove(base: sqlite3.Connection) -> AddressBookEntry:
            row = base.execute(f"{_ALL} WHERE key=?", (_key(name),)).fetchone()
            if row is None:
                raise self._unknown(name)
            base.execute("DELETE FROM contacts WHERE key=?", (_key(name),))
            return _contact(*row)

        removed = self._with_file(lambda base: in_transaction(base, remove), otherwise=None)
        if removed is None:
            raise self._unknown(name)
        return removed

    def _unknown(self, name: str) -> NotFoundError:
        names = {_key(contact.name): contact.name for contact in self.list()}
        import difflib

        near = difflib.get_close_matches(_key(name), names, 1, cutoff=0.5)
        hint = f"did you mean @{names[near[0]]}?" if near else f"sinchphone contacts add {name} +NUMBER, or --user USER"
        return NotFoundError(f"there is no contact {name}", hint=hint)

    def _with_file(self, work: Callable[[sqlite3.Connection], T], *, otherwise: T, make: bool = False) -> T:
        """``otherwise`` where there is no file and none is to be made."""
        try:
            if not make and not self._path.exists():
                return otherwise
            with closing(connect(self._path, _MIGRATIONS)) as base:
                return work(base)
        except (OSError, sqlite3.Error, ValueError) as error:
            raise ConfigError(f"the contacts {self._path} can't be used: {reason_of(error)}", hint=hint_of(error)) from error
        except ConfigError as error:
            raise ConfigError(f"the contacts {self._path} can't be used: {error}", hint=error.hint) from error


_ALL: Final = "SELECT name, kind, identity, user FROM contacts"


def _contact(name: str, kind: str, identity: str, user: str | None) -> AddressBookEntry:
    return AddressBookEntry(name, Destination(Kind(kind), identity), user)


def _key(name: str) -> str:
    return name.casefold()


def resolve(text: str, options: Options) -> Destination:
    """What ``call`` dials: a contact's destination for ``@name``, else what the text says. Raises what ``find`` and ``read_destination``
    raise."""
    if text.strip().startswith("@"):
        return contacts_of(options).find(text).destination
    return read_destination(text)


def contacts_of(options: Options) -> AddressBook:
    """Those of this machine's user, whatever the platform."""
    return AddressBook(options.state_path / "contacts.db")
