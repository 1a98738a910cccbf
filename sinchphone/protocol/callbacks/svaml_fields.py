"""Reads JSON that somebody wrote by hand: every member that doesn't fit is noted with its path, what it is and what it should be."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sinchphone.protocol.unicode import is_unicode
from sinchphone.quick_dataclass import quick_dataclass

MAX_SHOWN: Final = 40  # characters of a value in a complaint
MAX_COMPLAINTS: Final = 50
_DIGITS: Final = re.compile(r"\d{7,}")


@quick_dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one member. ``path`` is as in ``instructions[0].text``; numbers in ``found`` are shortened."""

    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        """What it is comes first: what it should be may be long, and whoever hears of it may hear no more than the beginning."""
        return f"{self.path} is {self.found}, but should be {self.expected}"


@dataclass(slots=True)
class Notes:
    """What was noted: ``complaints`` make the whole invalid, ``remarks`` don't."""

    complaints: list[Complaint] = field(default_factory=list)
    remarks: list[Complaint] = field(default_factory=list)

    def complain(self, path: str, found: str, expected: str) -> None:
        """One more complaint, up to MAX_COMPLAINTS."""
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(Complaint(path, found, expected))

    def remark(self, path: str, found: str, expected: str) -> None:
        """One more remark, up to MAX_COMPLAINTS."""
        if len(self.remarks) < MAX_COMPLAINTS:
            self.remarks.append(Complaint(path, found, expected))


class Fields:
    """The members of a JSON object. Names are looked up without regard to case: the platform's first SDKs wrote them capitalised."""

    def __init__(self, value: object, path: str, notes: Notes) -> None:
        """Anything that isn't an object is complained about, and has no members."""
        self.path = path
        self.readable = isinstance(value, Mapping)
        self._notes = notes
        self._known: set[str] = set()
        self._members: dict[str, object] = {}
        if isinstance(value, Mapping):
            self._members = {str(name).lower(): member for name, member in value.items()}
        else:
            notes.complain(path or "the body", describe(value), "an object")

    def value(self, name: str) -> object:
        """The member as it came; None where it's absent."""
        self._known.add(name.lower())
        return self._members.get(name.lower())

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        return self.value(name) is not None

    def odd(self, name: str, expected: str, found: str | None = None) -> None:
        """Complain about a member; ``found`` says it better than its value would."""
        if self.readable:
            present = name.lower() in self._members
            self._notes.complain(self.path_of(name), found or (describe(self.value(name)) if present else "absent"), expected)

    def remark(self, name: str, expected: str, found: str | None = None) -> None:
        """Remark on a member; ``found`` says it better than its value would, or says less."""
        self._notes.remark(self.path_of(name), found or describe(self.value(name)), expected)

    def text(self, name: str, *, limit: int, required: bool = False) -> str | None:
        """A text of 1 to ``limit`` characters; None where it's absent or wrong."""
        value = self.value(name)
        if isinstance(value, str) and 0 < len(value) <= limit and is_unicode(value):
            return value
        if value is not None or required:
            long = f"a text of {len(value)} characters" if isinstance(value, str) and len(value) > limit else None
            self.odd(name, f"a text of 1 to {limit} characters", long)
        return None

    def matching(self, name: str, pattern: re.Pattern[str], expected: str, *, required: bool = False) -> str | None:
        """A text that ``pattern`` fits; None where it's absent or wrong."""
        value = self.value(name)
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        if value is not None or required:
            self.odd(name, expected)
        return None

    def word(self, name: str, words: Sequence[str]) -> str | None:
        """One of ``words``, in any case, as ``words`` spells it; None where it's absent or wrong."""
        value = self.value(name)
        found = next((word for word in words if isinstance(value, str) and value.lower() == word.lower()), None)
        if found is None and value is not None:
            self.odd(name, f"one of {', '.join(words)}")
        return found

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number; None where it's absent or wrong."""
        value = self.value(name)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        if value is not None:
            self.odd(name, f"a whole number from {low} to {high}")
        return None

    def flag(self, name: str) -> bool:
        """True or false; False where it's absent or wrong."""
        value = self.value(name)
        if value is not None and not isinstance(value, bool):
            self.odd(name, "true or false")
        return value is True

    def inner(self, name: str) -> "Fields | None":
        """The members of an object; None where it's absent."""
        return Fields(self.value(name), self.path_of(name), self._notes) if self.has(name) else None

    def objects(self, name: str, most: int) -> Iterator["Fields"]:
        """A list of at most ``most`` objects; none where it's absent."""
        for path, value in self.items(name, most):
            yield Fields(value, path, self._notes)

    def items(self, name: str, most: int) -> list[tuple[str, object]]:
        """The members of a list of at most ``most``, each with its path; none where it's absent or wrong."""
        value = self.value(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most:
            self.odd(name, f"a list of at most {most}")
            return []
        return [(f"{self.path_of(name)}[{index}]", one) for index, one in enumerate(value)]

    def complain(self, path: str, found: str, expected: str) -> None:
        """Complain about something below."""
        self._notes.complain(path, found, expected)

    def finish(self) -> None:
        """Remark on the members that nobody asked for."""
        for name in self._members.keys() - self._known:
            shown = json.dumps(name[:MAX_SHOWN])
            self._notes.remark(self.path or "the body", f"an object with {shown}", f"without {shown}, which means nothing here")

    def path_of(self, name: str) -> str:
        """Where a member stands."""
        return f"{self.path}.{name}" if self.path else name


def describe(value: object) -> str:
    """What a JSON value is, for people: short, on one line, without whole phone numbers."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            shown = _DIGITS.sub(lambda match: f"{match[0][:2]}…", value[:MAX_SHOWN])
            return json.dumps(
                shown + ("…" if len(value) > MAX_SHOWN else ""), ensure_ascii=not is_unicode(shown) or not shown.isprintable()
            )
        case int() | float():
            return _DIGITS.sub(lambda match: f"{match[0][:2]}…", str(value)[:MAX_SHOWN]) if _is_short(value) else "a very large number"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"


def _is_short(value: float) -> bool:
    return not isinstance(value, int) or abs(value) < 10**MAX_SHOWN  # the text of a huge number may be refused by Python itself
