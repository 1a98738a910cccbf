"""What the shell proposes for a word that is being typed: contacts, whom one talked with, devices, profiles. Never an error: no proposal.

Names that others chose (who called, who wrote) reach a shell through here, and shells read what is proposed as they read a line: only
words without anything that one of them would take for more than a letter are proposed.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import typer

from sinchphone.errors import SinchphoneError
from sinchphone.options import Place
from sinchphone.protocol.names import ROOM_PREFIX

if TYPE_CHECKING:
    from sinchphone.options import Options

BUILT_IN_USERS: Final = ("echo", "tone", "speech", "busy", "decline", "no-answer", "hangup-after:3s", "answer-after:2s")
MAX_RECENT: Final = 500  # entries of the history that are looked through
_HARMLESS: Final = r"[\w@+][\w@+:.=-]*"

Source: TypeAlias = Callable[["Options"], Iterable[tuple[str, str]]]  # what may stand there, and what it is


def _completion(*sources: Source) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    """What Typer calls: proposals of all sources that begin with what was typed, each once, the first source's first."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        found: dict[str, str] = {}
        options = _options(ctx)
        if options is None:
            return []
        for source in sources:
            if incomplete and incomplete.startswith("@") != (source is _contacts):
                continue  # no file is opened for nothing: contacts alone begin with @
            for word, words in _without_errors(source, options):
                if word.startswith(incomplete) and re.fullmatch(_HARMLESS, word) and word.isprintable():
                    found.setdefault(word, words)
        return list(found.items())

    return complete


def _options(ctx: typer.Context) -> "Options | None":
    """What is in force with the options that were typed so far; ``None`` where that can't be read."""
    from sinchphone.config import load

    given: dict[str, Any] = {}
    at: Any = ctx
    while at is not None:
        given = {**at.params, **given}
        at = at.parent
    try:
        return load({"profile": given.get("profile"), "user": given.get("user")}, file=given.get("config")).options
    except SinchphoneError:
        return None


def _without_errors(source: Source, options: "Options") -> Iterator[tuple[str, str]]:
    try:
        yield from source(options)
    except (SinchphoneError, OSError):
        return


def _contacts(options: "Options") -> Iterator[tuple[str, str]]:
    from sinchphone.cli.addressing.contacts import contacts_of

    return ((f"@{contact.name}", contact.destination.identity) for contact in contacts_of(options).list())


def _contact_names(options: "Options") -> Iterator[tuple[str, str]]:
    return ((name.removeprefix("@"), words) for name, words in _contacts(options))


def _recent(options: "Options", *domains: str) -> Iterator[tuple[str, str]]:
    """Whom one called or was called by, and with "message" who wrote or was written to; the latest first."""
    from sinchphone.cli.addressing.recent import history_of
    from sinchphone.engine.history.past import peers

    found = dict.fromkeys(peers(*history_of(options), limit=MAX_RECENT))
    return ((peer, _WORDS[domain]) for peer, domain in found if domain in domains)


_WORDS: Final = {"mxp": "a user", "pstn": "a number", "sip": "a SIP address", "conference": "a room", "message": "a user"}


def _users(options: "Options") -> Iterator[tuple[str, str]]:
    yield from _recent(options, "mxp", "message")
    if options.environment is Place.LOCAL:
        yield from ((name, "built in") for name in BUILT_IN_USERS)


def _rooms(options: "Options") -> Iterator[tuple[str, str]]:
    from sinchphone.cli.addressing.contacts import contacts_of
    from sinchphone.cli.addressing.destination import Kind

    yield from _recent(options, "conference")
    for contact in contacts_of(options).list():
        if contact.destination.kind is Kind.CONFERENCE:
            yield contact.destination.identity, f"@{contact.name}"


def _destinations(options: "Options") -> Iterator[tuple[str, str]]:
    yield from _recent(options, "mxp", "pstn", "sip")
    yield from ((f"{ROOM_PREFIX}{name}", words) for name, words in _rooms(options))
    yield from _users(options)


def _accounts(options: "Options") -> Iterator[tuple[str, str]]:
    """Who one was on this machine, on this platform."""
    from sinchphone.cli.addressing.recent import history_path, users_of
    from sinchphone.engine.history.past import accounts

    return ((user, "you") for user in users_of(options, accounts(history_path(options))))


def _devices(way: Literal["inputs", "outputs"]) -> Source:
    def devices(options: "Options") -> Iterator[tuple[str, str]]:
        from sinchphone.media.local_audio.devices.sound_cards import list_devices

        found = [device for device in list_devices() if getattr(device, way)]
        for device in found:
            others = " ".join(other.name for other in found if other is not device).lower()
            word = next((word for word in device.name.split() if len(word) > 2 and word.lower() not in others), str(device.index))
            yield word, device.name

    return devices


def complete_profile(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The profiles of the configuration files that count."""
    from sinchphone.config import profile_names

    try:
        names = profile_names(ctx.params.get("config"))
    except SinchphoneError:
        names = list(Place)
    return [(name, "a profile") for name in names if name.startswith(incomplete) and re.fullmatch(_HARMLESS, name)]


complete_contact = _completion(_contact_names)
complete_destination = _completion(_contacts, _destinations)
complete_user = _completion(_users)
complete_number = _completion(lambda options: _recent(options, "pstn"))
complete_sip = _completion(lambda options: _recent(options, "sip"))
complete_room = _completion(_rooms)
complete_recipient = _completion(_contacts, lambda options: _recent(options, "mxp", "message"), lambda options: _recent(options, "pstn"))
complete_peer = _completion(_contacts, lambda options: _recent(options, *_WORDS))
complete_account = _completion(_accounts)
complete_input = _completion(_devices("inputs"))
complete_output = _completion(_devices("outputs"))
