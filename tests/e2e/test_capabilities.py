"""Clients that are made for a part of it only: calls, messages, one call at a time."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.capabilities import Capabilities
from sinchphone.engine.client import SinchClient
from sinchphone.errors import LocalProtocolError
from sinchphone.local import Local
from sinchphone.protocol.call.states import State
from sinchphone.signaling.dialect import Recipient
from sinchphone.signaling.papi.registration import capabilities_of


async def test_who_has_one_call_at_a_time_is_busy_for_others_and_begins_no_second(lines: Any, steps: Any) -> None:
    ada, bob = await lines.phone("ada", capabilities=Capabilities(multi_call=False)), await lines.phone("bob")
    first = await ada.call_user("echo")
    await steps.reach(first, State.ESTABLISHED)
    with pytest.raises(LocalProtocolError, match="one call at a time"):
        await ada.call_user("echo")
    refused = await bob.call_user("ada")
    await steps.end_of(refused)
    assert refused.met_busy
    assert ada.calls == (first,)
    await first.hang_up()
    await first.closed()
    again = await bob.call_user("ada")
    assert (await steps.next_call(ada)).id == again.id


async def test_who_makes_no_calls_takes_none(lines: Any, steps: Any) -> None:
    ada, bob = await lines.phone("ada", capabilities=Capabilities(calling=False)), await lines.phone("bob")
    with pytest.raises(LocalProtocolError, match="makes no calls"):
        await ada.call_user("bob")
    details = await steps.end_of(await bob.call_user("ada"))
    assert details.ringing_at is None


async def test_who_sends_no_messages_is_seen_so_by_others(media: Any, tmp_path: Any) -> None:
    can = Capabilities(messaging=False)
    async with (
        Local(tmp_path, port=0, api="papi", media=media) as local,
        SinchClient("ada", local, media=media, capabilities=can) as ada,
        SinchClient("bob", local, media=media) as bob,
    ):
        with pytest.raises(LocalProtocolError, match="sends no messages"):
            await ada.send_message("bob", "hi")
        transport = await bob._link.dialect.open_transport([Recipient("ada")])
        shown = {one.id: one.capabilities for participant in transport.participants for one in participant.instances}
        assert shown[ada.instance_id] == ("online", "voip", "p2p", "srtp")
        sent = await bob.send_message("ada", "hi")  # waits at the exchange for a device that takes it
        await asyncio.sleep(0.3)
        assert not sent.delivered


def test_video_is_refused_before_anything_is_placed() -> None:
    with pytest.raises(LocalProtocolError, match="no video"):
        Capabilities(video=False).check_call(video=True, others=False)
    Capabilities(video=False).check_call(video=False, others=True)


@pytest.mark.parametrize(
    ("online", "calling", "messaging", "told"),
    [
        (True, True, True, ("online", "im", "voip", "p2p", "srtp")),
        (False, True, True, ("im", "voip", "p2p", "srtp")),
        (True, True, False, ("online", "voip", "p2p", "srtp")),
        (False, False, True, ("im",)),
    ],
)
def test_the_platform_is_told_in_the_older_sdks_words(*, online: bool, calling: bool, messaging: bool, told: tuple[str, ...]) -> None:
    assert capabilities_of(online=online, calling=calling, messaging=messaging) == told
