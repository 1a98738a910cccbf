"""The dial plan's rules: which dialled texts lead where. Pure.

::

    "9*"  = "number:+{1}"     a pattern: * stands for anything, ? for one character; {1} is what the first * stood for

A target is ``user:NAME``, ``room:NAME``, ``number:+…``, ``sip:…`` or ``sips:…``, ``refuse`` (or ``refuse:busy``, ``refuse:404``), or
one of the exchange's own: ``echo``, ``tone``, ``speech``, ``busy``, ``decline``, ``no-answer``, ``hangup-after:3s``, ``answer-after:2s``.
"""

import re
from functools import cache
from typing import Final

from sinchphone.errors import ConfigError
from sinchphone.exchange.destinations.dialplan import plan_for
from sinchphone.exchange.refusals import RefusedError
from sinchphone.gateway.options import GatewayOptions
from sinchphone.protocol.names import is_room_name, is_user_id
from sinchphone.protocol.phone_numbers import is_number
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain

MAX_PATTERN_CHARACTERS: Final = 128
MAX_STARS: Final = 3
MAX_DIALLED_CHARACTERS: Final = 255
REFUSALS: Final = {"busy": 486, "decline": 603, "forbidden": 403, "not-found": 404, "unavailable": 480}
_PLACE: Final = re.compile(r"\{(\d)\}")
_SCHEMES: Final = ("user", "room", "number", "sip", "sips")
_ADDRESS: Final = re.compile(r"[^\s\x00-\x1f\x7f<>\"@]{1,128}@[^\s\x00-\x1f\x7f<>\"@]{1,253}")


@quick_dataclass(frozen=True, slots=True)
class Target:
    """Where a rule leads, after its places are filled. ``kind``: user, room, number, sip, sips, refuse or attendant."""

    kind: str
    name: str


@quick_dataclass(frozen=True, slots=True)
class Rule:
    """One line of the dial plan."""

    pattern: str
    target: str

    def __post_init__(self) -> None:
        """Raises ConfigError for a line that can't mean anything."""
        stars = self.pattern.count("*")
        if not 0 < len(self.pattern) <= MAX_PATTERN_CHARACTERS or not self.pattern.isprintable() or stars > MAX_STARS:
            raise ConfigError(f'"{self.pattern}" is not a pattern', hint=f"1 to {MAX_PATTERN_CHARACTERS} characters, {MAX_STARS} * at most")
        places = [int(place) for place in _PLACE.findall(self.target)]
        if any(not 1 <= place <= stars for place in places):
            raise ConfigError(
                f'"{self.pattern}" has {stars} *, but its target is "{self.target}"', hint="{1} is what the first * stood for"
            )
        if not places:
            read_target(self.target)
        elif self.target.partition(":")[0] not in _SCHEMES:
            raise _odd(self.target)

    def match(self, dialled: str) -> str | None:
        """The target for what was dialled, its places filled; None where the rule is about others."""
        found = _compiled(self.pattern).fullmatch(dialled) if len(dialled) <= MAX_DIALLED_CHARACTERS else None
        return None if found is None else _PLACE.sub(lambda place: found[int(place[1])], self.target)


def read_rules(options: GatewayOptions) -> tuple[Rule, ...]:
    """The rules of the dial plan, after a look at the targets of the trunk's numbers too. Raises ConfigError."""
    for target in (options.trunk.numbers if options.trunk else {}).values():
        read_target(target)
    return tuple(Rule(pattern, target) for pattern, target in options.dialplan.items())


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"*": "(.*)", "?": "."}
    return re.compile("".join(parts.get(character) or re.escape(character) for character in pattern), re.DOTALL)


def read_target(text: str) -> Target:
    """Where a target leads. Raises ConfigError for one that can't be."""
    kind, _, name = text.partition(":")
    match kind:
        case "user" if is_user_id(name):
            return Target(kind, name)
        case "room" if is_room_name(name):
            return Target(kind, name)
        case "number" if is_number(name):
            return Target(kind, name)
        case "sip" | "sips" if _ADDRESS.fullmatch(name):
            return Target(kind, name)
        case "refuse" if _status_of(name) is not None:
            return Target(kind, name)
        case _ if kind not in (*_SCHEMES, "refuse") and _is_attendant(text):
            return Target("attendant", text)
    raise _odd(text)


def refusal_status(target: Target) -> int:
    """The SIP status of a ``refuse`` target; 603 where it names none."""
    return _status_of(target.name) or REFUSALS["decline"]


def _status_of(name: str) -> int | None:
    if name.isdecimal() and name.isascii():
        return int(name) if 400 <= int(name[:4]) <= 699 and len(name) == 3 else None
    return REFUSALS.get(name or "decline")


def _is_attendant(name: str) -> bool:
    try:
        return plan_for(Domain.MXP, name) is not None
    except RefusedError:
        return False


def _odd(target: str) -> ConfigError:
    return ConfigError(
        f'"{target}" is no target of a dial plan',
        hint="user:NAME, room:NAME, number:+…, sip:USER@HOST, refuse, refuse:busy, or one of the exchange's own such as echo",
    )
