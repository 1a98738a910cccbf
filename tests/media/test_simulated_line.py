"""A bad line on request: what it does to packets, and that what is no line is refused."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from sinchphone import Call, Local, SinchClient, StatsTaken
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.media.network.simulated_line import LineSimulator, SimulatedLine
from sinchphone.media.port import PortStats
from sinchphone.media.thread import MediaThread


class FakeClock:
    """Calls back at once, and notes how much later that would have been."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def call_later(self, delay: float, callback: Callable[[bytes], object], packet: bytes) -> None:
        self.waits.append(delay)
        callback(packet)


def carried(written: str, packets: int = 2000) -> tuple[int, list[float]]:
    """How many packets came, and how late those were that didn't come at once."""
    clock, came = FakeClock(), list[bytes]()
    line = LineSimulator(SimulatedLine.read(written), clock, Random(7))
    for number in range(packets):
        line.carry(number.to_bytes(2, "big"), came.append)
    return len(came), clock.waits


def test_a_share_is_lost_and_the_rest_is_in_time() -> None:
    came, waits = carried("loss=5%")
    assert 1860 < came < 1940 and waits == []
    assert carried("loss=100%")[0] == 0 and carried("loss=0%")[0] == 2000


def test_packets_are_late_by_the_delay_and_some_of_the_jitter() -> None:
    came, waits = carried("delay=100ms, jitter=40ms")
    assert came == len(waits) == 2000
    assert 0.1 <= min(waits) < 0.102 and 0.138 < max(waits) <= 0.14


@pytest.mark.parametrize(
    "written",
    ["", "loss", "loss=5", "loss=101%", "loss=-1%", "loss=5%,loss=6%", "speed=9", "jitter=40", "jitter=3s", "delay=x", "loss=5%;"],
)
def test_what_is_no_line_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="must"):
        SimulatedLine.read(written)


async def test_a_phone_loses_packets_of_the_exchanges_own_end_and_a_call_goes_on(tmp_path: Path) -> None:
    """Also where it's hosted in the phone's own process, whose media thread it shares."""
    options = ExchangeOptions(port=0, line="loss=30%,jitter=20ms")
    async with (
        MediaThread() as media,
        Local(tmp_path, exchange=options, keep=False, media=media) as local,
        SinchClient("ada", local, media=media) as ada,
    ):
        call = await ada.call_user("tone")
        assert await asyncio.wait_for(call.established(), 30)
        async with asyncio.timeout(30):
            stats = await _after(call, 60)
        await call.hang_up()
    lost, received = stats.packets_lost, stats.packets_received
    assert lost > 0.1 * (lost + received), stats


async def _after(call: Call, packets: int) -> PortStats:
    """What is told once more than so many have come."""
    async for event in call.events():
        if isinstance(event, StatsTaken) and event.stats.packets_received > packets:
            return event.stats
    raise AssertionError("the call is over")
