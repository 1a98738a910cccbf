"""Two calls of one user, joined at this end: each of the three hears the two others, and not itself."""

from typing import Any

import pytest

from sinchphone.audio.frame import Samples
from sinchphone.audio.tones import goertzel
from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.call.states import State

TONES = {"alice": 620.0, "bob": 700.0, "carol": 440.0}


class Trio:
    """Alice, in a call with bob and in one with carol; each says a tone of their own."""

    def __init__(self) -> None:
        self.ears: dict[str, Any] = {}
        self.calls: dict[str, Any] = {}
        self.theirs: dict[str, Any] = {}


@pytest.fixture
async def trio(lines: Any, steps: Any) -> Trio:
    made = Trio()
    alice = await lines.phone("alice")
    for name in ("bob", "carol"):
        made.ears[name], sound = lines.ear(TONES[name])
        client = await lines.phone(name)
        ear, own = lines.ear(TONES["alice"] if name == "bob" else None)  # the devices are those of one call
        if name == "bob":
            made.ears["alice"] = ear
        made.calls[name] = await alice.call_user(name, sound=own)
        made.theirs[name] = await steps.next_call(client)
        await made.theirs[name].answer(sound=sound)
    for call in (*made.calls.values(), *made.theirs.values()):
        await steps.reach(call, State.ESTABLISHED)
    return made


async def hears(ear: Any, *tones: float) -> None:
    """Waits until these tones are heard, about as loud, and nothing else."""

    def like(sound: Samples) -> bool:
        shares = [goertzel.share(sound, tone) for tone in tones]
        return sum(shares) > 0.9 and min(shares) > 0.6 / len(tones)

    await ear.becomes(like)


async def test_each_of_three_hears_the_two_others_and_not_itself_until_they_part(trio: Trio) -> None:
    await trio.calls["bob"].join(trio.calls["carol"])
    assert trio.calls["carol"].is_joined
    await hears(trio.ears["alice"], TONES["bob"], TONES["carol"])
    await hears(trio.ears["bob"], TONES["alice"], TONES["carol"])
    await hears(trio.ears["carol"], TONES["alice"], TONES["bob"])
    await trio.calls["carol"].part()
    assert not trio.calls["bob"].is_joined
    await hears(trio.ears["alice"], TONES["bob"])
    await hears(trio.ears["bob"], TONES["alice"])


async def test_when_one_leaves_the_two_others_talk_on(trio: Trio, steps: Any) -> None:
    await trio.calls["bob"].join(trio.calls["carol"])
    await hears(trio.ears["bob"], TONES["alice"], TONES["carol"])
    await trio.theirs["carol"].hang_up()
    await steps.end_of(trio.calls["carol"])
    await hears(trio.ears["bob"], TONES["alice"])
    assert not trio.calls["bob"].is_joined


async def test_who_was_held_is_not_held_any_more_once_joined(trio: Trio) -> None:
    await trio.calls["carol"].hold()
    await trio.calls["bob"].join(trio.calls["carol"])
    assert not trio.calls["carol"].held_by_us
    await hears(trio.ears["carol"], TONES["alice"], TONES["bob"])
    with pytest.raises(LocalProtocolError, match="joined"):
        await trio.calls["bob"].join(trio.calls["carol"])
    await trio.calls["bob"].hang_up()
    await trio.calls["bob"].ended()
    with pytest.raises(LocalProtocolError, match="established"):
        await trio.calls["carol"].join(trio.calls["bob"])
