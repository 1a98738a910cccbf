"""How many calls at a time the switchboard takes, and of whom."""

import asyncio
from typing import Any

import pytest

from sinchphone.gateway.sip.calls import CallFacts, SipCall
from sinchphone.gateway.sip.hop import Hop
from sinchphone.gateway.switchboard import MAX_CALLS_OF_ONE, Switchboard
from sinchphone.protocol.sip import session_vocabulary as v
from sinchphone.protocol.sip.uri import parse_address, parse_uri


class Board(Switchboard):
    """Calls stay open until the test is over."""

    def __init__(self) -> None:
        nobody: Any = None
        super().__init__(nobody, nobody, None, home="acme", backend=lambda _: None)
        self.talking = 0

    async def _carry(self, call: SipCall, who: str) -> None:
        self._open[who] += 1
        self.talking += 1


async def refusals(count: int, **more: Any) -> list[int]:
    """The statuses of those of so many calls from one address that are refused."""
    board, orders = Board(), []
    for at in range(count):
        facts = CallFacts(
            call_id=str(at),
            outbound=False,
            remote=parse_address(f"<sip:caller{at}@proxy.example>"),
            target=parse_uri("sip:echo@us"),
            headers={},
            source=Hop("udp", "192.0.2.7", 5060),
            **more,
        )
        await board.route(SipCall(facts, orders.append))
    await asyncio.sleep(0)
    return [order.status for order in orders if isinstance(order, v.Refuse)]


async def test_many_people_behind_one_trusted_proxy_can_call_at_a_time() -> None:
    assert await refusals(MAX_CALLS_OF_ONE + 20, trunk="peer") == []


@pytest.mark.parametrize("more", [1, 3])
async def test_one_user_has_so_many_calls_and_no_more(more: int) -> None:
    assert await refusals(MAX_CALLS_OF_ONE + more, user="desk") == [486] * more
