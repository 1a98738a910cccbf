"""Tests of an app with the fixtures that sinchphone brings for pytest: an exchange, phones, the app's backend, assertions on sound.

No account, no network, no sound card, and no ``async``::

    pip install sinchphone pytest
    pytest fixtures_in_ci.py
"""

from typing import Any


def support_line(event: dict[str, Any]) -> dict[str, Any]:
    """The app: calls to the support line ring at bob's; everybody else is told why not."""
    if event["to"]["endpoint"] == "+46850000000":
        return {"action": {"name": "connectMxp", "destination": {"type": "username", "endpoint": "bob"}}}
    return {"action": {"name": "hangup"}}


def test_the_support_line_rings_at_bobs_and_they_hear_each_other(sinchphone_client: Any, sinchphone_backend: Any) -> None:
    sinchphone_backend.answers["ice"] = support_line
    ada, bob = sinchphone_client("ada"), sinchphone_client("bob")
    call = ada.call("+46850000000")
    answered = bob.expect_call().answer(tone_hz=440)
    call.established()
    call.heard.tone(440)
    call.press("1")
    answered.heard.digits("1")
    call.hang_up()
    answered.ended("hung_up")
    assert sinchphone_backend.expect("dice")["reason"] in ("CALLERHANGUP", "HANGUP")


def test_other_numbers_are_refused(sinchphone_client: Any, sinchphone_backend: Any) -> None:
    sinchphone_backend.answers["ice"] = support_line
    sinchphone_client("ada").call("+46901234567").ended()
    assert sinchphone_backend.expect("ice")["to"]["endpoint"] == "+46901234567"


def test_an_announcement_is_heard(sinchphone_client: Any) -> None:
    call = sinchphone_client("ada").call("speech").established()
    call.heard.speech()
    call.hang_up()


def test_a_platform_that_fails_for_a_moment_costs_no_message(sinchphone_client: Any, sinchphone_exchange: Any) -> None:
    ada, bob = sinchphone_client("ada"), sinchphone_client("bob")
    sinchphone_exchange.add_fault("/publish/*", status=503, times=1)
    ada.send_message("bob", "are you there?")
    assert bob.expect_message().text == "are you there?"


def test_a_phone_outside_reaches_the_support_line(sinchphone_client: Any, sinchphone_dial: Any, sinchphone_backend: Any) -> None:
    sinchphone_backend.answers["ice"] = support_line
    bob = sinchphone_client("bob")
    call = sinchphone_dial("+46850000000", "+46700000002", tone_hz=440)
    answered = bob.expect_call().answer()
    call.answered()
    answered.heard.tone(440)
    answered.press("1")
    call.heard_digits("1")
    answered.hang_up()
    call.ended()
    assert sinchphone_backend.expect("ice")["originationType"] == "pstn"
    sinchphone_dial("+46901234567", "private").ended()
