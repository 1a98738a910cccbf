"""``exchange users``: made, listed and removed from a shell."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def own_exchange(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A state folder of its own, and a port that nobody else's exchange has."""
    monkeypatch.setenv("SINCHPHONE_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(f'user = "bob"\nstate_dir = "{tmp_path}/state"\n[exchange]\nport = 0\n')


def test_a_user_with_names_is_made_listed_and_removed(sinchphone: Any) -> None:
    names = ("--email", "ada@example.org", "--number", "+46 70 000 00 01")
    made = sinchphone("exchange", "users", "add", "ada", "--password-command", "echo correct-horse", *names)
    assert (made.code, made.out) == (0, "ada  ada@example.org  +46700000001  (0 devices, 0 listening)\n")
    assert "correct-horse" not in made.out + made.err
    for again in (("ada",), ("bob", "--number", "+46700000001"), ("bob", "--email", "ada@example.org")):
        twice = sinchphone("exchange", "users", "add", *again)
        assert (twice.code, f"a user {again[-1]} already" in twice.err, "users list" in twice.err) == (12, True, True), twice.err
    listed = sinchphone("exchange", "users", "list", "--json").events[:-1]
    assert [(one["user_id"], one["email"], one["number"], one["account"]) for one in listed] == [
        ("ada", "ada@example.org", "+46700000001", True)
    ]
    assert sinchphone("exchange", "users", "remove", "ada").code == 0
    assert sinchphone("exchange", "users", "list").out == ""
    gone = sinchphone("exchange", "users", "remove", "ada")
    assert gone.code == 7
    assert "there is no user ada here" in gone.err
    assert "exchange users list" in gone.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("add",),
        ("remove",),
        ("add", "ada", "--number", "0700000001"),
        ("add", "ada", "--password-command", "'"),
        ("add", "ada", "--email", "nonsense"),
        ("add", ""),
        ("add", "x" * 300),
    ],
)
def test_a_command_line_that_makes_no_sense_exits_with_2(sinchphone: Any, arguments: tuple[str, ...]) -> None:
    assert sinchphone("exchange", "users", *arguments).code in (2, 14)


def test_a_password_command_that_fails_makes_nobody(sinchphone: Any) -> None:
    assert sinchphone("exchange", "users", "add", "ada", "--password-command", "false").code == 14
    assert sinchphone("exchange", "users", "list").out == ""


def test_who_hasnt_said_what_gets_the_help(sinchphone: Any) -> None:
    assert "add" in sinchphone("exchange", "users").out


def test_a_reset_leaves_nobody_and_no_texts(sinchphone: Any) -> None:
    sinchphone("exchange", "users", "add", "ada")
    sinchphone("send-message", "+46700000001", "hi")
    done = sinchphone("exchange", "reset")
    assert done.code == 0 and "as new" in done.err
    assert sinchphone("exchange", "users", "list").out == sinchphone("exchange", "sms").out == ""
