"""How many calls at a time a gateway takes, and of whom."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.refusals import RefusedError
from sinchphone.gateway.call_control import MAX_CALLS_OF_ONE, CallControl
from sinchphone.gateway.callouts.backend_calls import GatewayCalls
from sinchphone.gateway.sip.calls import SipCall, SipCallFacts
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.gateway.sip_agents import SipSide
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.uri import parse_address, parse_uri


class OpenCalls(CallControl):
    """Calls stay open until the test is over."""

    def __init__(self, *, drains: bool = False) -> None:
        context: Any = SimpleNamespace(trunk=None, lines=None, intake=Intake())
        if drains:
            context.intake.close()
        super().__init__(context)
        self.talking = 0

    async def _carry(self, call: SipCall, side: SipSide, who: str) -> None:
        self._open[who] += 1
        self.talking += 1


async def refusals(count: int, *, drains: bool = False, **more: Any) -> list[int]:
    """The statuses of those of so many calls from one address that are refused; ``drains``: the exchange is about to end."""
    control, orders = OpenCalls(drains=drains), []  # type: ignore[var-annotated]
    nobody: Any = None
    for at in range(count):
        facts = SipCallFacts(
            call_id=str(at),
            outbound=False,
            remote=parse_address(f"<sip:caller{at}@proxy.example>"),
            target=parse_uri("sip:echo@us"),
            headers={},
            source=Hop("udp", "192.0.2.7", 5060),
            **more,
        )
        await control.take(SipCall(facts, orders.append), nobody)
    await asyncio.sleep(0)
    return [order.status for order in orders if isinstance(order, v.SipRefuse)]


async def test_many_people_behind_one_trusted_proxy_can_call_at_a_time() -> None:
    assert await refusals(MAX_CALLS_OF_ONE + 20, trunk="peer") == []


@pytest.mark.parametrize("more", [1, 3])
async def test_one_user_has_so_many_calls_and_no_more(more: int) -> None:
    assert await refusals(MAX_CALLS_OF_ONE + more, user="desk") == [486] * more


@pytest.mark.parametrize(("trunk", "early", "statuses"), [("trunk", False, [403]), ("peer", True, [486]), ("peer", False, [])])
async def test_call_hijack_nobody_over_the_trunk_takes_a_call_over(trunk: str, early: bool, statuses: list[int]) -> None:
    assert await refusals(1, trunk=trunk, replaces=ReplacedDialog("call", "ours", "theirs", early)) == statuses


@pytest.mark.parametrize(("replaces", "statuses"), [(None, [503]), (ReplacedDialog("call", "ours", "theirs"), [])])
async def test_an_exchange_that_is_about_to_end_takes_no_new_calls_but_those_that_go_on_with_another(
    replaces: ReplacedDialog | None, statuses: list[int]
) -> None:
    assert await refusals(1, drains=True, user="desk", replaces=replaces) == statuses


def test_an_exchange_that_is_about_to_end_makes_no_callouts() -> None:
    context: Any = SimpleNamespace(intake=Intake())
    context.intake.close()
    wish: Any = None
    with pytest.raises(RefusedError, match="takes no new calls"):
        GatewayCalls(context).call_out("acme", wish)
