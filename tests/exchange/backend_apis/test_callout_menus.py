"""A callout whose called side presses keys in a menu, and is connected by what they chose."""

from typing import Any

PRESSES_123, TALKS, MACHINE = "+14155550105", "+14155550106", "+14155550111"
FROM = "+46700000001"


async def test_who_was_called_presses_keys_and_is_connected(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {
        "ice": action("connectPstn", number=PRESSES_123, cli=FROM),
        "ace": action("runMenu", menus=[{"id": "main", "maxDigits": 3}]),
        "pie": action("connectPstn", number=TALKS, cli=FROM, suppressCallbacks=True),
    }
    call = await developer.call_out("customCallout", destination={"type": "number", "endpoint": PRESSES_123}, cli=FROM)
    said = await developer.over(call)
    pie = await backend.heard("pie")
    assert (pie["callid"], pie["menuResult"]["type"], pie["menuResult"]["value"]) == (call, "sequence", "123")
    assert (said["result"], said["reason"]) == ("ANSWERED", "CALLEEHANGUP")
    assert backend.kinds(call) == ["ice", "ace", "pie"], "the rest is suppressed"


async def test_who_answers_a_callout_is_told_with_the_answer(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=MACHINE, cli=FROM, amd={"enabled": True}), "ace": action("hangup")}
    await developer.call_out("customCallout", destination={"type": "number", "endpoint": MACHINE}, cli=FROM)
    assert (await backend.heard("ace"))["amd"]["status"] == "machine"
    assert (await backend.heard("dice"))["reason"] == "MANAGERHANGUP"
