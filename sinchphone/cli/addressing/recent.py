"""The history of the configured user on the configured platform, and what redialling takes from it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sinchphone.cli.addressing.destination import Destination, Kind, room, sip_address, user_id
from sinchphone.engine.history.past import Past, PastCall, look_back
from sinchphone.errors import ConfigError, DestinationError, NotFoundError
from sinchphone.options import Options
from sinchphone.protocol.phone_numbers import read_number

_ANONYMOUS: Final = "@anonymous.invalid"  # RFC 3323 4.1.1.3
MAX_READ: Final = 100_000  # entries that are looked through for those that are wanted


def user_of(options: Options) -> str:
    """Who I am. Raises ConfigError where nobody says."""
    if options.user is None:
        raise ConfigError(
            "no user id for the cloud, which an application key stands for",
            hint="say who you are: --user ME, SINCH_USER_ID or user in the configuration; without SINCH_APPLICATION_KEY and "
            "application_key, or with --profile local, calls stay on this machine",
        )
    return options.user


def history_path(options: Options) -> Path:
    """The history's file."""
    return options.state_path / "history.db"


def users_of(options: Options, accounts: Iterable[str]) -> list[str]:
    """Of the accounts of a history those on the configured platform: whose they are."""
    prefix = _account(options, "")
    return [account.removeprefix(prefix) for account in accounts if account.startswith(prefix)]


def _account(options: Options, user: str) -> str:
    return f"{options.environment} {options.application_key or ''} {user}"


def history_of(options: Options) -> tuple[Path, str]:
    """The history's file, and under which account this user's entries stand in it. Raises ConfigError."""
    return history_path(options), _account(options, user_of(options))


def past_of(options: Options, *, since: float = 0.0) -> list[Past]:
    """All entries of this user from ``since`` on, oldest first. Raises ConfigError."""
    return look_back(*history_of(options), since=since, limit=MAX_READ)


def last_called(options: Options) -> Destination:
    """Whom this user called last. Raises NotFoundError where that's nobody, ConfigError."""
    last = next((past for past in reversed(past_of(options)) if isinstance(past, PastCall) and past.outbound), None)
    if last is None:
        raise NotFoundError(f"{user_of(options)} has called nobody yet", hint="name whom to call: sinchphone call DEST")
    return destination_of(last)


def last_missed(options: Options) -> Destination:
    """Whose call this user missed last. Raises NotFoundError where there's none, DestinationError where it can't be called, ConfigError."""
    last = next((past for past in reversed(past_of(options)) if isinstance(past, PastCall) and past.is_missed), None)
    if last is None:
        raise NotFoundError(f"{user_of(options)} has missed no call", hint="sinchphone history lists all calls")
    return destination_of(last)


def destination_of(call: PastCall) -> Destination:
    """Whom to dial to reach the other side of a call again. Raises DestinationError: who withheld their number can't be reached."""
    from sinchphone.signaling.dialect import Domain

    try:
        match Domain(call.domain):
            case Domain.MXP:
                return Destination(Kind.USER, user_id(call.peer))
            case Domain.PSTN:
                return Destination(Kind.PHONE, read_number(call.peer))
            case Domain.SIP if not call.peer.lower().endswith(_ANONYMOUS):
                return Destination(Kind.SIP, sip_address(call.peer))
            case Domain.CONFERENCE:
                return Destination(Kind.CONFERENCE, room(call.peer))
            case _:
                raise DestinationError("a SIP address that leads nowhere")
    except (DestinationError, ValueError) as error:
        hint = "the caller didn't say from where: sinchphone history shows what is known"
        raise DestinationError(f'"{call.peer}" can\'t be called back', hint=hint) from error
