"""Each side gets packets as long as it wants, and never longer than it takes, whatever the other one sends."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sinchphone.gateway.relay.description import with_packet_times_of
from sinchphone.gateway.relay.local import LocalRelay, LocalRelays
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.media.thread import MediaThread
from tests.gateway.relay.relay_lab import G711_RATE, PortPhone, RawPhone, _tone, linear, ulaw, until, until_heard

CALLER_HZ, CALLED_HZ = 440.0, 1000.0
WEBRTC, RTP = MediaTransport.WEBRTC, MediaTransport.RTP


class SizedPhone(RawPhone):
    """One that says how long packets are to be, and sends its own as long as it likes: ``sends_ms``, or what it's asked for."""

    def __init__(self, hz: float, *says: str, sends_ms: int | None = None) -> None:
        super().__init__(hz)
        self.says = says
        self.sends_ms = sends_ms
        self.asked = ""

    def description(self, direction: str = "sendrecv") -> str:
        return super().description(direction).replace("a=ptime:20\r\n", "".join(f"a={one}\r\n" for one in self.says))

    def point(self, theirs: str) -> None:
        self.asked = theirs
        super().point(theirs)

    def lengths(self) -> set[int]:
        """Of what came lately [ms]."""
        return {len(each.payload) // 8 for each in self.got[-10:]} if len(self.got) > 20 else set()

    def heard(self, seconds: float = 1.0) -> tuple[NDArray[np.int16], int]:
        samples = linear(b"".join(each.payload for each in self.got[-round(seconds * 200) :]))
        return samples[-round(seconds * G711_RATE) :], G711_RATE

    async def _talk(self) -> None:
        tone, due = _tone(self.hz), time.monotonic()
        kept = np.zeros(0, np.int16)
        asked = re.search(r"a=ptime:(\d+)", self.asked)
        size = (self.sends_ms or int(asked[1] if asked else 20)) * 8
        while True:
            while len(kept) < size:
                kept = np.concatenate([kept, next(tone)])
            self._send(0, self._timestamp, ulaw(kept[:size]), marker=self._mark)
            kept, self._mark = kept[size:], False
            self._timestamp += size
            due += size / G711_RATE
            await asyncio.sleep(due - time.monotonic())


@pytest.fixture
async def join(local: LocalRelays) -> AsyncIterator[Callable[[RawPhone, RawPhone], Awaitable[LocalRelay]]]:
    opened: list[RawPhone] = []

    async def joined(caller: RawPhone, called: RawPhone) -> LocalRelay:
        opened.extend((caller, called))
        relay = local.relay("call", RTP)
        offered = await relay.offer(await caller.offer(), RTP)
        await caller.accept(await relay.answer(await called.answer(offered)))
        return relay

    yield joined
    for phone in opened:
        await phone.close()


@pytest.mark.parametrize(("wants", "length"), [("ptime:30", 30), ("ptime:60", 60), ("ptime:10", 10)])
async def test_what_one_side_wants_is_asked_of_the_other_and_packets_pass_as_they_are(
    join: Callable[[RawPhone, RawPhone], Awaitable[LocalRelay]], wants: str, length: int
) -> None:
    caller, called = SizedPhone(CALLER_HZ, wants), SizedPhone(CALLED_HZ, "ptime:40")
    relay = await join(caller, called)
    assert f"a={wants}\r\n" in called.asked
    assert "a=ptime:40\r\n" in caller.asked
    await until_heard(caller, CALLED_HZ)
    await until_heard(called, CALLER_HZ)
    await until(lambda: (caller.lengths(), called.lengths()) == ({length}, {40}), "packets of that length")
    assert relay.passes == (True, True)


@pytest.mark.parametrize(
    ("says", "length"), [(("maxptime:20",), 20), (("maxptime:10",), 10), (("ptime:40", "maxptime:30"), 30), (("ptime:30",), 30)]
)
async def test_a_side_gets_no_longer_packets_than_it_takes_though_the_other_sends_them(
    join: Callable[[RawPhone, RawPhone], Awaitable[LocalRelay]], says: tuple[str, ...], length: int
) -> None:
    caller, called = SizedPhone(CALLER_HZ, *says), SizedPhone(CALLED_HZ, sends_ms=60)
    relay = await join(caller, called)
    await until(lambda: relay.passes == (True, False), "cut anew")
    await until(lambda: caller.lengths() == {length}, "packets of that length")
    await until_heard(caller, CALLED_HZ)
    await until_heard(called, CALLER_HZ)


@pytest.mark.parametrize("length", [5, 10, 30, 60, 120])
async def test_packets_of_any_length_are_heard_by_a_terminal(local: LocalRelays, media: MediaThread, length: int) -> None:
    caller, called = SizedPhone(CALLER_HZ, sends_ms=length), PortPhone.webrtc(media, CALLED_HZ)
    relay = local.relay("call", RTP)
    try:
        offered = await relay.offer(await caller.offer(), WEBRTC)
        await caller.accept(await relay.answer(await called.answer(offered)))
        await until_heard(called, CALLER_HZ)
        await until_heard(caller, CALLED_HZ)
    finally:
        await caller.close()
        await called.close()


async def test_a_terminal_sends_packets_as_long_as_the_phone_wants(local: LocalRelays, media: MediaThread) -> None:
    caller, called = PortPhone.webrtc(media, CALLER_HZ), SizedPhone(CALLED_HZ, "ptime:30", "maxptime:40")
    relay = local.relay("call", WEBRTC)
    try:
        offered = await relay.offer(await caller.offer(), RTP)
        answer = await relay.answer(await called.answer(offered))
        assert "a=ptime:30\r\n" in answer
        assert "a=maxptime:40\r\n" in answer
        await caller.accept(answer)
        await until_heard(called, CALLER_HZ)
        await until(lambda: called.lengths() == {30}, "packets of that length")
    finally:
        await caller.close()
        await called.close()


SDP = "v=0\r\nm=audio 9 RTP/AVP 0\r\na=ptime:20\r\na=sendrecv\r\n"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("a=ptime:30", ["ptime:30"]),
        ("a=ptime: 30.5 ", ["ptime:30"]),
        ("a=maxptime:60", ["ptime:20", "maxptime:60"]),
        ("a=ptime:0", ["ptime:20"]),
        ("a=ptime:none", ["ptime:20"]),
        ("a=sendrecv", ["ptime:20"]),
        ("a=ptime:99999999999999999999", ["ptime:20"]),
    ],
)
def test_a_side_is_asked_for_what_can_be_read_of_the_others_wish(other: str, said: list[str]) -> None:
    found = with_packet_times_of(SDP, f"v=0\r\nm=audio 9 RTP/AVP 0\r\n{other}\r\n")
    assert sorted(re.findall(r"a=((?:max)?ptime:\S*)\r\n", found)) == sorted(said)
