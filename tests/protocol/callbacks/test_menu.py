"""Menus without a call: prompts out, digits in, and what came of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.callbacks.menu import MenuEffect, MenuFinished, MenuMachine, MenuResult, MenuResultType, PlayPrompt, StopPrompt
from sinchphone.protocol.callbacks.svaml import GoTo, Menu, MenuOption, Return, RunMenu, Spoken

HELLO, AGAIN, SUB = (Spoken("hello"),), (Spoken("again"),), (Spoken("sub"),)
SALES = MenuOption("1", Return("sales"))


class Playbook:
    """A menu as a conversation: ``>>`` is what happens (a digit, "said", or seconds that pass), ``<<`` what the menu does."""

    def __init__(self, *menus: Menu, barge: bool = True) -> None:
        self.machine = MenuMachine(RunMenu({menu.id: menu for menu in menus}, menus[0].id, barge))
        self.now = 100.0
        self.effects = self.machine.start(self.now)

    def __rshift__(self, happens: str | float) -> "Playbook":
        if isinstance(happens, float):
            self.now += happens
            self.effects += self.machine.expire(self.now)
        elif happens == "said":
            self.effects += self.machine.prompt_ended(self.now)
        else:
            for digit in happens:
                self.effects += self.machine.digit(digit, self.now)
        return self

    def __lshift__(self, expected: list[MenuEffect]) -> "Playbook":
        assert self.effects == expected
        self.effects = []
        return self


def done(kind: MenuResultType, value: str = "", menu: str = "main", *, digits: bool = True) -> list[MenuEffect]:
    return [MenuFinished(MenuResult(menu, kind, value, digits))]


def main(**fields: Any) -> Menu:
    return Menu("main", HELLO, **fields)


def test_an_option_returns_its_value_and_ends_the_prompt() -> None:
    menu = Playbook(main(options=(SALES,)))
    menu << [PlayPrompt(HELLO)]
    menu >> "1" << [StopPrompt(), *done(MenuResultType.RETURN, "sales")]


def test_an_option_leads_to_another_menu() -> None:
    menu = Playbook(main(options=(MenuOption("2", GoTo("sub")),)), Menu("sub", SUB, max_digits=4))
    menu << [PlayPrompt(HELLO)]
    menu >> "said" >> "2" << [PlayPrompt(SUB)]
    menu >> "1234" << [StopPrompt(), *done(MenuResultType.SEQUENCE, "1234", "sub")]


def test_digits_that_come_before_a_prompt_count_in_their_order_and_none_twice() -> None:
    deep = (MenuOption("1", GoTo("two")),), (MenuOption("2", GoTo("three")),), (MenuOption("3", Return("x")),)
    menu = Playbook(main(options=deep[0]), Menu("two", SUB, options=deep[1]), Menu("three", SUB, options=deep[2]))
    menu >> "1234"
    assert menu.effects[-1] == done(MenuResultType.RETURN, "x", "three")[0]
    assert menu.machine.unread == ["4"], "for whatever follows"


def test_without_barge_prompts_are_said_to_their_end_and_what_was_pressed_counts_then() -> None:
    menu = Playbook(main(options=(MenuOption("2", GoTo("sub")),)), Menu("sub", SUB, options=(SALES,)), barge=False)
    menu << [PlayPrompt(HELLO)]
    menu >> "21" << []
    menu >> "said" << [PlayPrompt(SUB)]
    menu >> "said" << done(MenuResultType.RETURN, "sales", "sub")


@pytest.mark.parametrize(
    ("fields", "pressed", "value"), [({"max_digits": 4}, "12#", "12"), ({"max_digits": 3}, "123", "123"), ({}, "1*3#", "1*3")]
)
def test_digits_are_collected_until_there_are_enough_or_until_the_hash(fields: dict[str, Any], pressed: str, value: str) -> None:
    assert (Playbook(main(**fields)) >> "said" >> pressed).effects[-1] == done(MenuResultType.SEQUENCE, value)[0]


def test_digits_are_collected_until_nothing_more_comes() -> None:
    menu = Playbook(main(max_digits=9, timeout_ms=2000)) >> "said" >> "12" >> 1.9
    menu << [PlayPrompt(HELLO)]
    menu >> 0.2 << done(MenuResultType.SEQUENCE, "12")


def test_silence_repeats_the_prompt_and_ends_as_a_timeout() -> None:
    menu = Playbook(main(repeat_prompt=AGAIN, repeats=1, options=(SALES,)))
    menu >> 60.0 << [PlayPrompt(HELLO)], "a prompt has all the time it needs"
    menu >> "said" >> 5.1 << [PlayPrompt(AGAIN)]
    menu >> "said" >> 5.1 << done(MenuResultType.TIMEOUT, digits=False)


def test_a_wrong_key_repeats_the_main_prompt_where_there_is_no_other_and_ends_as_invalid() -> None:
    menu = Playbook(main(repeats=1, options=(SALES,)))
    menu >> "7" << [PlayPrompt(HELLO), StopPrompt(), PlayPrompt(HELLO)]
    menu >> "8" << [StopPrompt(), *done(MenuResultType.INVALID_INPUT, "8")]


def test_each_menu_has_repeats_of_its_own() -> None:
    menu = Playbook(main(repeats=1, options=(MenuOption("2", GoTo("sub")),)), Menu("sub", SUB, repeats=1, options=(SALES,)))
    menu >> "9" >> "2" >> "9"
    assert menu.effects[-1] == PlayPrompt(SUB)


def test_an_option_that_begins_like_a_longer_one_waits_for_more() -> None:
    options = (SALES, MenuOption("12", Return("both")))
    assert (Playbook(main(options=options)) >> "12").effects[-1] == done(MenuResultType.RETURN, "both")[0]
    waiting = Playbook(main(options=options)) >> "said" >> "1"
    waiting << [PlayPrompt(HELLO)]
    waiting >> 5.1 << done(MenuResultType.RETURN, "sales")


def test_a_hash_may_be_an_option() -> None:
    assert (Playbook(main(options=(MenuOption("#", Return("hash")),))) >> "#").effects[-1] == done(MenuResultType.RETURN, "hash")[0]


def test_digits_that_are_no_option_are_a_sequence_where_more_are_asked_for_than_options_have() -> None:
    menu = Playbook(main(max_digits=4, options=(SALES,)))
    assert (menu >> "1234").effects[-1] == done(MenuResultType.SEQUENCE, "1234")[0]


menus = st.builds(
    Menu,
    st.just("main"),
    st.sampled_from([(), HELLO]),
    repeats=st.integers(0, 2),
    max_digits=st.none() | st.integers(1, 3),
    options=st.lists(st.builds(MenuOption, st.text("12#", min_size=1, max_size=2), st.sampled_from([Return("x"), GoTo("main")]))).map(
        tuple
    ),
)


@given(menus, st.booleans(), st.lists(st.sampled_from(["1", "2", "#", "*", "said", 6.0]), max_size=30))
def test_any_menu_waits_for_something_until_it_is_done_once(menu: Menu, barge: bool, happens: list[Any]) -> None:
    played = Playbook(menu, barge=barge)
    prompting, finished = bool(menu.prompt), False
    for one in happens:
        played.effects = []
        played >> one
        assert not (finished and played.effects), "it was done"
        last = [effect for effect in played.effects if isinstance(effect, PlayPrompt | StopPrompt)]
        prompting = isinstance(last[-1], PlayPrompt) if last else prompting and one != "said"
        finished = finished or any(isinstance(effect, MenuFinished) for effect in played.effects)
        assert finished or prompting or played.machine.deadline is not None, "it would wait for ever"
