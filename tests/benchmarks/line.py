"""The lines that speech is sent over: which media packets get lost and which are late, by their number, the same for everybody."""

import random
from dataclasses import dataclass

DELAY_S = 0.020  # one way, of everything that is sent
FRAME_S = 0.020
SPIKE_SHARE = 0.02
PACKETS = 4096


@dataclass(frozen=True)
class Condition:
    """What a line does to media packets. Bursts follow Gilbert's model; packets that wait keep their order."""

    name: str
    loss: float = 0.0
    burst: float = 1.0  # mean length [packets]
    jitter_s: float = 0.0  # evenly distributed
    spike_s: float = 0.0  # SPIKE_SHARE of packets begin a queue of that length, which then drains

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


CONDITIONS = (
    Condition("clean"),
    Condition("5 %", loss=0.05),
    Condition("10 %", loss=0.10),
    Condition("20 %", loss=0.20),
    Condition("10 % in bursts of 3", loss=0.10, burst=3),
    Condition("jitter 40 ms", jitter_s=0.040),
    Condition("spikes of 150 ms", spike_s=0.150),
)


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

    def take(self, sequence: int, size: int, now: float) -> float | None:
        """When an RTP packet with that sequence number arrives; ``None`` where it's lost."""
        self._first = sequence if self._first is None else self._first
        number = (sequence - self._first) % 0x10000
        self.sent += 1
        self.octets += size
        if number > self._highest:
            self._highest = number
            lost, late = self._packets[number % PACKETS]
        else:
            lost, late = self._dice.random() < self._condition.loss, self._dice.random() * self._condition.jitter_s
        if lost:
            self.lost += 1
            return None
        self._last = max(self._last, now + DELAY_S + late)
        return self._last
