"""Who calls, whom they asked for, and why a call ends early: what every part of the gateway says about a call."""

from dataclasses import field
from enum import StrEnum

from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain


class Source(StrEnum):
    """Who called: it decides what they may reach."""

    USER = "user"  # a device of a user, over MXP
    PHONE = "phone"  # a SIP phone that proved to be a user
    TRUNK = "trunk"  # the carrier
    PEER = "peer"  # a PBX or proxy at a trusted address
    PLATFORM = "platform"  # the exchange itself, asked to by a backend


@quick_dataclass(frozen=True, slots=True)
class Failure:
    """Why a call ends early. ``status`` is SIP's number, ``reason`` a sentence: escape it before it's shown; ``domain`` who says so;
    ``retry_after_s`` when it may be tried again, where somebody said; ``headers`` of the SIP answer, x-... only."""

    status: int
    reason: str
    domain: str = "exchange"  # or "sip", or "media": somebody was lost
    retry_after_s: int | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@quick_dataclass(frozen=True, slots=True)
class CallerName:
    """Who calls, as the called side may see it. ``domain`` says where the call comes from.

    ``identity`` is a user id (MXP), a SIP address without its scheme (SIP) or a number (PSTN); ``caller_id`` the number that phones
    show, ``None`` where it's withheld or there is none.
    """

    domain: Domain
    identity: str = field(repr=False)
    caller_id: str | None = field(default=None, repr=False)
    display_name: str = field(default="", repr=False)


@quick_dataclass(frozen=True, slots=True)
class Dialled:
    """What the caller asked for."""

    domain: Domain
    identity: str = field(repr=False)
