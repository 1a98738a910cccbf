"""The tables of what an exchange remembers, whoever keeps them: the columns of each row, and which of them say whose row it is."""

from typing import Any, Final, TypeAlias

from sinchphone.quick_dataclass import quick_dataclass

Row: TypeAlias = tuple[Any, ...]


@quick_dataclass(frozen=True, slots=True)
class Table:
    """Rows of a kind: first the columns of the key, then the others. ``is_part``: these are some columns of another table's rows, which
    are written on their own and go with the row."""

    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    is_part: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All, in the order of a row."""
        return (*self.key, *self.values)


_OF_DEVICE: Final = ("application", "instance_id")
_OF_USER: Final = ("application", "user_id")

DEVICES: Final = Table(
    "devices", _OF_DEVICE, ("user_id", "device_id", "legacy", "generation", "capabilities", "software", "expire_at", "limited")
)
SEEN: Final = Table("devices", _OF_DEVICE, ("seen_up_to",), is_part=True)
PUSH_SUBSCRIPTIONS: Final = Table("push_subscriptions", _OF_DEVICE, ("endpoint", "p256dh", "auth"))
ACCOUNTS: Final = Table("accounts", _OF_USER, ("password", "profile"))
TAKEN_NAMES: Final = Table("taken_names", _OF_USER, ("proved_at",))
IDENTITIES: Final = Table("identities", ("application", "kind", "endpoint"), ("user_id",))
TRANSPORTS: Final = Table("transports", ("application", "id"), ("members", "opened_by"))
MESSAGES: Final = Table("messages", (*_OF_USER, "token"), ("transport_id", "frame", "publisher"))
MAILBOXES: Final = Table("mailboxes", _OF_USER, ("delivered_up_to",))
SESSIONS: Final = Table("sessions", ("application", "call_id"), ("channels", "until"))
USAGE: Final = Table("usage", _OF_USER, ("day", "calls", "seconds", "cost"))
USAGE_SHARES: Final = Table("usage_shares", (*_OF_USER, "process"), ("day", "calls", "seconds", "cost"))  # where several count
TEXT_MESSAGES: Final = Table("text_messages", ("application", "id"), ("batch", "sender", "number", "text", "at"))
ASSIGNED_NUMBERS: Final = Table("assigned_numbers", ("application", "number", "capability"), ())
VERIFICATIONS: Final = Table("verifications", ("application", "id"), ("members", "at"))
TIME_TOKENS: Final = Table("timetokens", ("id",), ("mark",))
LISTENING: Final = Table("listening", ("application", "process", "network", "channel"), ("until", "broke_off"))
CALLS: Final = Table("calls", ("application", "call_id"), ("process", "members"))
CARRIED_CALLS: Final = Table("carried_calls", ("application", "call_id"), ("process", "placed_by", "members"))
ROOM_OWNERS: Final = Table("room_owners", ("application", "room"), ("process",))
CALLBACK_URLS: Final = Table("callback_urls", ("application",), ("primary", "fallback"))
PHONES: Final = Table("phones", _OF_USER, ("bindings",))
TRUNKS: Final = Table("trunks", ("application",), ("process", "contact", "addresses", "is_registered"))
PROCESSES: Final = Table("processes", ("application", "process"), ("began_at",))

OUTLASTING: Final = (  # what is shared by several processes of one exchange, and known to one alone too when it starts again
    DEVICES,
    SEEN,
    PUSH_SUBSCRIPTIONS,
    ACCOUNTS,
    TAKEN_NAMES,
    IDENTITIES,
    TRANSPORTS,
    MESSAGES,
    MAILBOXES,
    SESSIONS,
    TEXT_MESSAGES,
    VERIFICATIONS,
    ASSIGNED_NUMBERS,
)
SHARED: Final = (
    *OUTLASTING,
    LISTENING,
    CALLS,
    CARRIED_CALLS,
    ROOM_OWNERS,
    CALLBACK_URLS,
    PHONES,
    TRUNKS,
    USAGE_SHARES,
    PROCESSES,
)  # the last ones are of processes that run
