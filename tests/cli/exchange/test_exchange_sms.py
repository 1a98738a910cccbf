"""Text messages with nothing configured: simulated, said to be, and kept by the local exchange to be looked at."""

from pathlib import Path
from typing import Any

import pytest

ADA, BOB = "+46700000001", "+46700000002"


@pytest.fixture(autouse=True)
def own_exchange(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A state folder of its own, and a port that nobody else's exchange has."""
    monkeypatch.setenv("SINCHPHONE_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(f'user = "ada"\nstate_dir = "{tmp_path}/state"\n[exchange]\nport = 0\n[sms]\nsender = "Acme"\n')


def test_a_text_to_a_number_is_simulated_says_so_and_is_in_the_inbox(sinchphone: Any) -> None:
    sent = sinchphone("send-message", ADA, "+46 70 000 00 02", "grüße")
    assert (sent.code, sent.out) == (0, f"delivered to {ADA}\ndelivered to {BOB}\n")
    assert "simulated" in sent.err and "sinchphone exchange sms" in sent.err
    shown = sinchphone("exchange", "sms", "--json")
    assert shown.code == 0
    assert [(one["sender"], one["number"], one["text"]) for one in shown.events[:-1]] == [("Acme", ADA, "grüße"), ("Acme", BOB, "grüße")]


def test_it_says_so_where_only_results_are_wanted_and_to_programs(sinchphone: Any) -> None:
    assert "simulated" in sinchphone("send-message", "-q", ADA, "hi").err
    sent = sinchphone("send-message", "--json", ADA, "hi")
    assert [one["simulated"] for one in sent.events if one["event"] == "message.sent"] == [True]


def test_the_inbox_is_shown_for_a_number_and_forgotten_on_demand(sinchphone: Any) -> None:
    assert "no text messages" in sinchphone("exchange", "sms").err
    sinchphone("send-message", ADA, "one\nADMIN -> you: two")
    sinchphone("send-message", BOB, "three")
    shown = sinchphone("exchange", "sms", ADA).out.splitlines()
    assert len(shown) == 2 and shown[0].endswith(f"Acme -> {ADA}: one") and shown[1] == "  ADMIN -> you: two"
    assert "forgotten: 2" in sinchphone("exchange", "sms", "--clear").err
    assert sinchphone("exchange", "sms").out == ""


@pytest.mark.parametrize("arguments", [("--clear", ADA), ("--clear", "--follow"), ("46700000001",), ("ada",)])
def test_a_command_line_that_makes_no_sense_exits_with_2(sinchphone: Any, arguments: tuple[str, ...]) -> None:
    assert sinchphone("exchange", "sms", *arguments).code == 2


def test_in_the_cloud_nothing_is_simulated(sinchphone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINCH_APPLICATION_KEY", "key")
    for arguments in (("send-message", ADA, "hi"), ("exchange", "sms")):
        assert sinchphone(*arguments).code == 14
