"""What ``config init`` asks at a terminal: who calls, over what, and where the secret comes from. The secret itself is never asked for."""

from collections.abc import Callable
from typing import Final

import typer

from sinchphone.config import login_name
from sinchphone.options import KEYS, Place

NOTHING: Final = ""  # the answer that leaves a key as it is

Ask = Callable[[str, str], str]  # a question and what an empty answer means -> the answer


def ask_at_terminal(question: str, default: str) -> str:
    """On standard error: standard output carries the file's name alone. Raises typer.Abort for Ctrl-C and the end of input."""
    return str(typer.prompt(question, default=default, err=True, show_default=bool(default))).strip()


def asked(ask: Ask, complain: Callable[[str], None]) -> dict[str, str]:
    """The keys that were answered with something but their default."""
    place = _answer(
        ask, complain, "environment", "Where do calls go? local: this machine, without an account; cloud: Sinch", Place.LOCAL.value
    )
    found = {"environment": place}
    if place == Place.CLOUD:
        found["application_key"] = _answer(ask, complain, "application_key", "The application's key", NOTHING)
        question = "A command that prints the application's secret (empty: a file, the keyring or SINCH_APPLICATION_SECRET)"
        found["secret_command"] = _answer(ask, complain, "secret_command", question, NOTHING)
        if not found["secret_command"]:
            question = "A file with the secret, for your eyes only (empty: the keyring or SINCH_APPLICATION_SECRET)"
            found["secret_file"] = _answer(ask, complain, "secret_file", question, NOTHING)
        found["caller_id"] = _answer(ask, complain, "caller_id", "The number that phone calls show (+E164, empty: none)", NOTHING)
    found["user"] = _answer(ask, complain, "user", "Who are you (user id)?", login_name() if place == Place.LOCAL else NOTHING)
    for name, words in (("audio.input", "Microphone"), ("audio.output", "Loudspeaker")):
        found[name] = _answer(ask, complain, name, f"{words}: part of its name (empty: the system's default)", NOTHING)
    return {name: value for name, value in found.items() if value and value != KEYS[name].example}


def _answer(ask: Ask, complain: Callable[[str], None], name: str, question: str, default: str) -> str:
    """An answer that the key takes; asked again until it is one."""
    while True:
        answer = ask(question, default)
        if not answer:
            return answer
        try:
            KEYS[name].read(answer)
        except ValueError as error:
            complain(f"{name} {error}")
        else:
            return answer
