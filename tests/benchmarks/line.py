"""The lines that speech is sent over: which media packets get lost and which are late, by their number, the same for everybody.

A line may be narrow: packets then pass it one after the other, wait in a queue of limited length, and fall out where it is full.
"""

import random
from dataclasses import dataclass

from tcp_flow import TcpFlow

DELAY_S = 0.020  # one way, of everything that is sent
FRAME_S = 0.020
SPIKE_SHARE = 0.02
PACKETS = 4096
BESIDE_BYTES = 400


@dataclass(frozen=True)
class Condition:
    """What a line does to media packets. Bursts follow Gilbert's model; packets that wait keep their order."""

    name: str
    loss: float = 0.0
    burst: float = 1.0  # mean length [packets]
    jitter_s: float = 0.0  # evenly distributed
    spike_s: float = 0.0  # SPIKE_SHARE of packets begin a queue of that length, which then drains
    reordered: float = 0.0  # so many packets are overtaken by those of the next
    reorder_s: float = 0.045
    kbps: tuple[tuple[float, float], ...] = ()  # from a second of the call on so much passes [kbit/s of IP packets]; none: all at once
    queue_s: float = 0.3  # what waits before a narrow line; more is lost
    beside: tuple[tuple[float, float], ...] = ()  # what others send over it, in the same way
    tcp: bool = False  # a TCP flow passes it too, which takes what it gets
    outages: tuple[tuple[float, float], ...] = ()  # from a second of the call on, for so many: all is lost
    both_ways: bool = False  # reports, and the other direction, are lost as well: not what makes the connection (DTLS, STUN)
    ppm: float = 0.0  # so much slower is the speaker's clock
    material: str = "speech"
    busy_s: float = 0.0  # so long at a time the receiver's program (its event loop, its page) does something else

    def packets(self, seed: int) -> list[tuple[bool, float]]:
        """Whether it's lost, and how much longer it takes [s], for each packet by its number."""
        dice, lost, queue, packets = random.Random(f"{self.name}/{seed}"), False, 0.0, []
        for _ in range(PACKETS):
            lost = self._is_lost(dice, lost)
            queue = self.spike_s if dice.random() < SPIKE_SHARE else max(0.0, queue - FRAME_S)
            packets.append((lost, dice.random() * self.jitter_s + queue))
        return packets

    def _is_lost(self, dice: random.Random, before: bool) -> bool:
        if self.burst <= 1:
            return dice.random() < self.loss
        leave = 1 / self.burst
        return dice.random() >= leave if before else dice.random() < leave * self.loss / (1 - self.loss)


def narrow(name: str, kbps: float, queue_s: float = 0.3, loss: float = 0.0) -> Condition:
    """A line of a constant capacity."""
    return Condition(name, loss=loss, kbps=((0.0, kbps),), queue_s=queue_s)


CONDITIONS = (
    Condition("clean"),
    Condition("5 %", loss=0.05),
    Condition("10 %", loss=0.10),
    Condition("20 %", loss=0.20),
    Condition("10 % in bursts of 3", loss=0.10, burst=3),
    Condition("jitter 40 ms", jitter_s=0.040),
    Condition("spikes of 150 ms", spike_s=0.150),
    narrow("80 kbit/s, 5 %", 80, loss=0.05),
    narrow("64 kbit/s, queue 300 ms", 64),
    narrow("64 kbit/s, queue 100 ms", 64, 0.1),
    narrow("40 kbit/s", 40, 1.0),
    narrow("24 kbit/s", 24),
    Condition("5 % reordered by 45 ms", reordered=0.05),
)


#: more of them: what nothing was tuned on
MORE = (
    *(narrow(f"{kbps} kbit/s, queue {ms} ms", kbps, ms / 1000) for kbps, ms in ((80, 300), (80, 100), (40, 300), (40, 100), (24, 100))),
    *(narrow(f"{kbps} kbit/s, 5 %", kbps, loss=0.05) for kbps in (64, 40, 24)),
    *(Condition(f"{kbps} kbit/s beside TCP", kbps=((0.0, kbps),), tcp=True) for kbps in (80, 64, 40, 24)),
    Condition("200 kbit/s, 40 for 12 s", kbps=((0.0, 200.0), (10.0, 40.0), (22.0, 200.0))),
    Condition("Wi-Fi", loss=0.03, burst=4, jitter_s=0.010, spike_s=0.120),
    Condition("hand-overs of 1 s", outages=((9.0, 1.0), (21.0, 1.0))),
    Condition("15 % both ways, reports too", loss=0.15, both_ways=True),
    Condition("clocks 200 ppm apart, 3 minutes", ppm=200.0),
    Condition("receiver busy for 100 ms at a time", busy_s=0.1),
    Condition("music", material="music"),
    Condition("music, 10 %", loss=0.10, material="music"),
    Condition("two talkers, 10 %", loss=0.10, material="two talkers"),
)
ALL = (*CONDITIONS, *MORE)


def named(name: str) -> Condition:
    """One of them."""
    return next(each for each in ALL if each.name == name)


class Line:
    """One direction under way. ``take`` tells when a media packet arrives."""

    def __init__(self, condition: Condition, seed: int) -> None:
        self.sent = self.lost = self.octets = 0
        self._condition = condition
        self._packets = condition.packets(seed)
        self._dice = random.Random(f"again/{seed}")  # of what is sent again: it changes nobody else's fate
        self._first: int | None = None
        self._highest = -1
        self._last = 0.0
        self._bottleneck = Bottleneck(condition) if condition.kbps else None
        self._shuffle = random.Random(f"order/{seed}")
        self._begun = 0.0

    def take(self, sequence: int, size: int, now: float) -> float | None:
        """When an RTP packet with that sequence number arrives; ``None`` where it's lost."""
        if self._first is None:
            self._first, self._begun = sequence, now
        number = (sequence - self._first) % 0x10000
        self.sent += 1
        self.octets += size
        shuffle = self._shuffle if number > self._highest else self._dice
        if number > self._highest:
            self._highest = number
            lost, late = self._packets[number % PACKETS]
        else:
            lost, late = self._dice.random() < self._condition.loss, self._dice.random() * self._condition.jitter_s
        passed = now if self._bottleneck is None else self._bottleneck.take(size, now)
        if lost or passed is None or self._is_out(now - self._begun):
            self.lost += 1
            return None
        if self._condition.reordered and shuffle.random() < self._condition.reordered:
            return passed + DELAY_S + self._condition.reorder_s
        self._last = max(self._last, passed + DELAY_S + late)
        return self._last

    def take_check(self, size: int, now: float) -> float | None:
        """When a packet without a number arrives that waits and gets lost as those of sound do; ``None`` where it's lost."""
        self.octets += size
        passed = now if self._bottleneck is None else self._bottleneck.take(size, now)
        lost, late = self._packets[max(0, self._highest) % PACKETS]
        if self._condition.burst <= 1:
            lost = self._dice.random() < self._condition.loss
        if self._condition.jitter_s:
            late = self._dice.random() * self._condition.jitter_s
        return None if lost or passed is None or self._is_out(now - self._begun) else passed + DELAY_S + late

    def loses_report(self) -> bool:
        """Of a packet without a number, whether it is lost."""
        return self._condition.both_ways and self._dice.random() < self._condition.loss

    def _is_out(self, second: float) -> bool:
        return any(since <= second < since + length for since, length in self._condition.outages)

    def waiting_s(self, now: float) -> float:
        """How long a packet would wait that came now."""
        return 0.0 if self._bottleneck is None else self._bottleneck.waiting_s(now)


class Bottleneck:
    """A narrow place with a queue that drops what comes last. Others send packets of BESIDE_BYTES through it at regular times."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self._begun: float | None = None
        self._free_at = 0.0
        self._beside_at = 0.0
        self._tcp = TcpFlow(self._pass, 2 * DELAY_S) if condition.tcp else None

    def take(self, size: int, now: float) -> float | None:
        """When a packet of so many bytes has passed; ``None`` where the queue is full."""
        self._begun = now if self._begun is None else self._begun
        self._pass_others(now)
        if self._tcp is not None:
            self._tcp.run(now)
        return self._pass(size, now)

    def waiting_s(self, now: float) -> float:
        """How long a packet would wait that came now."""
        return max(0.0, self._free_at - now)

    def _pass_others(self, now: float) -> None:
        assert self._begun is not None, "set by the first packet"
        self._beside_at = max(self._beside_at, self._begun)
        while self._condition.beside and self._beside_at <= now:
            kbps = _at(self._condition.beside, self._beside_at - self._begun)
            if kbps:
                self._pass(BESIDE_BYTES, self._beside_at)
            self._beside_at += BESIDE_BYTES * 8e-3 / kbps if kbps else 0.1

    def _pass(self, size: int, now: float) -> float | None:
        assert self._begun is not None, "set by the first packet"
        begins = max(now, self._free_at)
        if begins - now > self._condition.queue_s:
            return None
        self._free_at = begins + size * 8e-3 / _at(self._condition.kbps, now - self._begun)
        return self._free_at


def _at(steps: tuple[tuple[float, float], ...], second: float) -> float:
    return next((value for since, value in reversed(steps) if second >= since), 0.0)
