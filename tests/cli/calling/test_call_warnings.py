"""What is wrong with the sound's way is told while the call goes on."""

import asyncio
from collections.abc import Callable
from typing import Any

from sinchphone.engine.calls.call import CallWarning
from sinchphone.protocol.call.states import Cause, State


def test_a_warning_of_the_call_is_shown_in_words_and_as_an_event(platform: Any, sinchphone: Callable[..., Any]) -> None:
    async def script(call: Any) -> None:
        call.enter(State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)
        call.told.put(CallWarning(message="no TURN server gave an address: turn.example didn't answer", hint="Calls may fail."))
        await asyncio.sleep(0.1)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--json")
    assert ran.code == 0
    warnings = [event for event in ran.events if event["event"] == "warning"]
    assert [(event["message"], event["hint"]) for event in warnings] == [
        ("no TURN server gave an address: turn.example didn't answer", "Calls may fail.")
    ]
    platform.outgoing = script
    assert "turn.example didn't answer" in sinchphone("call", "bob").err
