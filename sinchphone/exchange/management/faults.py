"""Faults on request: which requests are answered otherwise than they would be, how, and how often yet (pure).

::

    POST /v1/transport  ->  the first rule that fits, and isn't used up  ->  delay, then: dropped, or a status, or as ever
"""

import fnmatch
import itertools
from dataclasses import replace
from typing import Any, Final

from sinchphone.exchange.options import HOST_PATH, MANAGEMENT_PATH
from sinchphone.exchange.refusals import too_many
from sinchphone.quick_dataclass import quick_dataclass

MAX_RULES: Final = 100
MAX_DELAY_SECONDS: Final = 60.0
MAX_TIMES: Final = 1_000_000
_NEVER: Final = (HOST_PATH, MANAGEMENT_PATH)  # else nobody could end them


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """What happens to requests whose path fits ``path`` (``*`` is anything, ``?`` a character, the query doesn't count), whatever their
    method where ``method`` is empty: after ``delay_seconds`` the connection is dropped, or ``status`` answered with ``body`` (JSON), or
    the request is served. ``times``: so often yet; None, until the rule is removed."""

    id: str = ""
    path: str
    method: str = ""
    delay_seconds: float = 0.0
    drop: bool = False
    status: int | None = None
    body: Any = None
    times: int | None = None

    def fits(self, method: str, path: str) -> bool:
        """Whether a request is one of those."""
        return self.method in ("", method) and fnmatch.fnmatchcase(path, self.path)


class Faults:
    """The rules of one exchange, the oldest first."""

    def __init__(self) -> None:
        self._rules: dict[str, FaultRule] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, rule: FaultRule) -> FaultRule:
        """Have a rule in force; it gets an id. Raises RefusedError where there are too many."""
        if len(self._rules) >= MAX_RULES:
            raise too_many(f"there are {MAX_RULES} faults already")
        named = replace(rule, id=str(next(self._numbers)))
        self._rules[named.id] = named
        return named

    def rules(self) -> list[FaultRule]:
        """Those in force."""
        return list(self._rules.values())

    def remove(self, name: str) -> bool:
        """A rule isn't in force any more; whether it was."""
        return self._rules.pop(name, None) is not None

    def clear(self) -> int:
        """None is in force any more; how many were."""
        gone = len(self._rules)
        self._rules.clear()
        return gone

    def take(self, method: str, path: str) -> FaultRule | None:
        """What happens to a request, once less from now on; None where it's served as ever."""
        if path == "/" or any(path == own or path.startswith(f"{own}/") for own in _NEVER):
            return None
        for rule in self._rules.values():
            if rule.fits(method, path):
                return self._used(rule)
        return None

    def _used(self, rule: FaultRule) -> FaultRule:
        if rule.times is None:
            return rule
        if rule.times > 1:
            self._rules[rule.id] = replace(rule, times=rule.times - 1)
        else:
            del self._rules[rule.id]
        return rule
