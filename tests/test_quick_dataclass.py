"""Classes that are made quickly behave as ``dataclass`` makes them."""

import copy
import inspect
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Quick:
    name: str
    secret: str = field(default="s", repr=False)
    table: Mapping[str, int] = field(default_factory=dict)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class QuickChild(Quick):
    more: int = 1

    def __post_init__(self) -> None:
        if self.more < 0:
            raise ValueError("more")


@dataclass(frozen=True, slots=True)
class Known:
    name: str
    secret: str = field(default="s", repr=False)
    table: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownChild(Known):
    more: int = 1


@pytest.mark.parametrize(
    ("arguments", "named"), [(("a",), {}), (("a", "b"), {}), ((), {"name": "a"}), (("a",), {"table": {"x": 1}}), (("a",), {"more": 2})]
)
def test_the_same_arguments_give_the_same_values_and_words(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    quick, known = QuickChild(*arguments, **named), KnownChild(*arguments, **named)
    assert [getattr(quick, one.name) for one in fields(quick)] == [getattr(known, one.name) for one in fields(known)]
    assert repr(quick) == repr(known).replace("Known", "Quick")
    assert quick == QuickChild(*arguments, **named) != replace(quick, name="other")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((), {}), (("a",), {"no": 1}), (("a", "b", {}, 4), {}), (("a",), {"name": "b"}), (("a",), {"secrets": "b"})],
)
def test_what_dataclass_refuses_is_refused(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    for kind in (Quick, Known):
        with pytest.raises(TypeError):
            kind(*arguments, **named)


def test_nothing_can_be_changed_and_what_is_checked_is_checked() -> None:
    one = QuickChild("a")
    with pytest.raises(FrozenInstanceError):
        one.more = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del one.more
    with pytest.raises(ValueError, match="more"):
        QuickChild("a", more=-1)


def test_copies_and_pickles_are_equal() -> None:
    one = QuickChild("a", table={"x": 1}, more=3)
    assert copy.deepcopy(one) == one == pickle.loads(pickle.dumps(one)) and copy.copy(one) == one


def test_equal_ones_have_one_hash_and_kinds_differ() -> None:
    assert {Quick("a", table=()): 1} == {Quick("a", table=()): 1}  # type: ignore[arg-type]
    assert Quick("a") != QuickChild("a")


def test_help_names_the_same_arguments() -> None:
    quick, known = (inspect.signature(kind).parameters for kind in (QuickChild, KnownChild))
    assert [(one.name, one.kind, one.annotation) for one in quick.values()] == [
        (one.name, one.kind, one.annotation) for one in known.values()
    ]
    assert (quick["secret"].default, quick["name"].default) == ("s", inspect.Parameter.empty)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    names: list[str] = field(default_factory=list)
    count: int = field(init=False, default=3)
    note: str = field(default="", compare=False)

    def __repr__(self) -> str:
        return "counted"


class Undecorated(Counted):
    pass


@quick_dataclass(frozen=True, eq=False)
class Alone:
    name: str = "a"


@quick_dataclass(frozen=True)
class Empty:
    pass


def test_each_has_a_list_of_its_own_and_what_is_not_given_its_default() -> None:
    assert Counted().names is not Counted().names
    assert (Counted().count, Counted(note="x").note) == (3, "x")
    with pytest.raises(TypeError, match="Counted"):
        Counted(count=4)  # type: ignore[call-arg]


def test_what_a_class_says_itself_stays_and_what_is_not_compared_makes_no_difference() -> None:
    assert repr(Counted()) == "counted"
    assert Counted(note="x") == Counted(note="y")
    assert Counted() != Undecorated() and Undecorated(names=["a"]).names == ["a"]


def test_without_comparing_each_is_itself_alone() -> None:
    assert Alone() != Alone() and len({Alone(), Alone()}) == 2
    assert Empty() == Empty() and hash(Empty()) == hash(Empty())


def test_dataclasses_may_inherit_from_one_as_from_a_frozen_one() -> None:
    @dataclass(frozen=True)
    class Child(Quick):
        more: int = 1

    assert (Child("a", more=2).name, Child("a").more) == ("a", 1)
    with pytest.raises(FrozenInstanceError):
        Child("a").more = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="frozen"):

        @dataclass
        class Open(Quick):  # type: ignore[misc]
            pass
