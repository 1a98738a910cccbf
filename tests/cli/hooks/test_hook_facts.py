"""What hooks are told, whatever a peer calls itself; and what they may decide."""

import json
import subprocess
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.cli.hooks.facts import as_json, environment_of, facts_of
from sinchphone.cli.hooks.hooks import Choice, Decision, read_decision
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.options import KEYS
from sinchphone.signaling.dialect import Domain

HOSTILE = ["$(touch x)", '";id;#', "a\nb", "a\0b", "\x1b]777;notify;a;b\x07", "-rf", "a;b", "\u202egnp.exe", "`id`", "%s%n", "x" * 50_000]


def incoming(peer: str) -> e.CallIncoming:
    return e.CallIncoming(call_id="1", peer=peer, domain=Domain.MXP, headers={"LD_PRELOAD": "/evil.so"}, contact=None)


def test_facts_stand_in_the_environment_and_in_json() -> None:
    facts = facts_of("incoming", incoming("ada"), {"outbound": False})
    told = environment_of(facts, {"HOME": "/home/bob"})
    assert told["HOME"] == "/home/bob"
    assert {name: told[f"SINCHPHONE_{name}"] for name in ("HOOK", "EVENT", "CALL_ID", "PEER", "DOMAIN", "CONTACT", "OUTBOUND")} == {
        "HOOK": "incoming",
        "EVENT": "call.incoming",
        "CALL_ID": "1",
        "PEER": "ada",
        "DOMAIN": "mxp",
        "CONTACT": "",
        "OUTBOUND": "false",
    }
    assert json.loads(as_json(facts))["headers"] == {"LD_PRELOAD": "/evil.so"}
    assert "/evil.so" not in told.values(), "what a peer names its headers is no name of a variable"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_data_and_moves_no_cursor(name: str) -> None:
    facts = facts_of("incoming", incoming(name), {})
    told = environment_of(facts, {})
    assert told["SINCHPHONE_PEER"].isprintable()
    assert len(told["SINCHPHONE_PEER"]) < 131_072, "the longest text that Linux takes"
    assert json.loads(as_json(facts))["peer"] == name
    assert as_json(facts).isascii()
    assert as_json(facts).count(b"\n") == 1


@pytest.mark.parametrize("name", [one for one in HOSTILE if len(one) < 100])
def test_a_shell_that_is_asked_for_runs_nothing_of_it(name: str) -> None:
    told = environment_of(facts_of("incoming", incoming(name), {}), {"PATH": "/usr/bin:/bin"})
    done = subprocess.run(["sh", "-c", 'printf %s "$SINCHPHONE_PEER"'], env=told, capture_output=True, text=True, check=True)
    assert done.stdout == told["SINCHPHONE_PEER"]


def test_no_fact_takes_the_place_of_what_configures_us() -> None:
    kinds = [e.CallIncoming, e.CallOutgoing, e.CallEstablished, e.CallEnded, e.MessageReceivedTold]
    names = {f"SINCHPHONE_{field.name.upper()}" for kind in kinds for field in fields(kind)} | {"SINCHPHONE_HOOK", "SINCHPHONE_EVENT"}
    assert not names & {key.variable for key in KEYS.values()}
    ours = {"SINCHPHONE_TOKEN": "t", "SINCHPHONE_PROFILE": "work", "SINCHPHONE_PEER": "of another hook", "SINCHPHONE_TEXT": "too"}
    told = environment_of(facts_of("incoming", incoming("ada"), {"token": "x"}), ours)
    assert (told["SINCHPHONE_TOKEN"], told["SINCHPHONE_PROFILE"], told["SINCHPHONE_PEER"]) == ("t", "work", "ada")
    assert "SINCHPHONE_TEXT" not in told


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_message_makes_an_environment(sender: str, text: str) -> None:
    event = e.MessageReceivedTold(message_id="m", sender=sender, recipients=["bob"], text=text)
    told = environment_of(facts_of("message", event, {}), {})
    assert all("\0" not in value and "\n" not in value for value in told.values())
    json.loads(as_json(facts_of("message", event, {})))


@pytest.mark.parametrize(
    ("line", "decision"),
    [
        ("answer", Decision(Choice.ANSWER)),
        (" decline ", Decision(Choice.DECLINE)),
        ("ignore", Decision(Choice.IGNORE)),
        ("redirect bob", Decision(Choice.REDIRECT, "bob")),
        ("redirect", None),
        ("redirect a b", Decision(Choice.REDIRECT, "a b")),
        ("redirect \x1b[2J", None),
        ("answer now", None),
        ("ANSWER", None),
        ("", None),
        ("yes", None),
    ],
)
def test_a_decision_is_one_of_four(line: str, decision: Decision | None) -> None:
    assert read_decision(line) == decision
