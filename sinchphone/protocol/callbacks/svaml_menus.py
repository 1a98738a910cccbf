"""Reads the menus of ``runMenu``. Pure."""

import re
from typing import Final

from sinchphone.protocol.callbacks.svaml import GoTo, Menu, MenuOption, Return, RunMenu
from sinchphone.protocol.callbacks.svaml_fields import Fields, describe
from sinchphone.protocol.callbacks.svaml_prompts import read_locale, read_prompt

MAIN: Final = "main"
# Limits of this exchange, where the platform states none:
MAX_MENUS: Final = 32
MAX_OPTIONS: Final = 64
MAX_REPEATS: Final = 100
MAX_MENU_DIGITS: Final = 64
MAX_TIMEOUT_MS: Final = 600_000
MAX_ID_CHARACTERS: Final = 64

_OPTION_DIGITS: Final = re.compile(rf"[0-9*#]{{1,{MAX_MENU_DIGITS}}}")
_LEADS_TO: Final = re.compile(r"\s*(return|menu)\s*\(([^\x00-\x1f\x7f\ud800-\udfff]{0,200})\)\s*", re.IGNORECASE)


def read_run_menu(fields: Fields) -> RunMenu:
    """The action ``runMenu``."""
    if fields.flag("enableVoice"):
        fields.odd("enableVoice", "false: speech isn't recognised on this exchange")
    barge = fields.flag("barge") if fields.has("barge") else True
    if not fields.has("menus"):
        fields.odd("menus", f'a list of menus, one with the id "{MAIN}"')
    menus: dict[str, Menu] = {}
    leads: list[tuple[str, str]] = []
    for one in fields.objects("menus", MAX_MENUS):
        menu = _read_menu(one, leads)
        if menu is not None and menu.id in menus:
            one.odd("id", "another id than those before")
        elif menu is not None:
            menus[menu.id] = menu
    first = fields.text("mainMenu", limit=MAX_ID_CHARACTERS) or MAIN
    _check_names(fields, menus, first, leads)
    return RunMenu(menus, first, barge, read_locale(fields))


def _check_names(fields: Fields, menus: dict[str, Menu], first: str, leads: list[tuple[str, str]]) -> None:
    """One menu must be called main (the platform's rule), and whatever is named must be there."""
    known = ", ".join(menus) or "none"
    if fields.has("menus") and MAIN not in menus:
        fields.odd("menus", f'a list of menus, one with the id "{MAIN}"', f"a list of {describe(known)}")
    if first not in menus and first != MAIN:
        fields.odd("mainMenu", f"the id of one of the menus {describe(known)}")
    for path, name in leads:
        if name not in menus:
            fields.complain(path, describe(f"menu({name})"), f"menu(…) with the id of one of the menus {describe(known)}, or return(…)")


def _read_menu(fields: Fields, leads: list[tuple[str, str]]) -> Menu | None:
    name = fields.text("id", limit=MAX_ID_CHARACTERS, required=True)
    options = [_read_option(one, leads) for one in fields.objects("options", MAX_OPTIONS)]
    fields.value("maxTimeoutMills")  # of speech
    menu = Menu(
        id=name or "",
        prompt=read_prompt(fields, "mainPrompt"),
        repeat_prompt=read_prompt(fields, "repeatPrompt"),
        repeats=fields.whole("repeats", 0, MAX_REPEATS) or 0,
        max_digits=fields.whole("maxDigits", 1, MAX_MENU_DIGITS),
        timeout_ms=fields.whole("timeoutMills", 1, MAX_TIMEOUT_MS) or Menu("").timeout_ms,
        options=tuple(option for option in options if option is not None),
    )
    fields.finish()
    return menu if name is not None else None


def _read_option(fields: Fields, leads: list[tuple[str, str]]) -> MenuOption | None:
    """``dtmf`` may be a number: the vendor's guides write it so."""
    digits = fields.value("dtmf")
    if isinstance(digits, int) and not isinstance(digits, bool) and 0 <= digits < 10**MAX_MENU_DIGITS:
        digits = str(digits)
    if not isinstance(digits, str) or not _OPTION_DIGITS.fullmatch(digits):
        fields.odd("dtmf", "digits: 0-9, * and #")
    action = fields.value("action")
    match = _LEADS_TO.fullmatch(action) if isinstance(action, str) else None
    if match is None:
        fields.odd("action", "return(…) or menu(…)")
    fields.finish()
    if match is None or not isinstance(digits, str):
        return None
    value = match[2].strip()
    if match[1].lower() == "menu":
        leads.append((fields.path_of("action"), value))
        return MenuOption(digits, GoTo(value))
    return MenuOption(digits, Return(value))
