"""What feedback says of the path, in figures of one kind: from each packet's arrival where the peer tells it, else from its reports."""

import math
from collections import deque
from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Final

from sinchphone.protocol.congestion.cross_traffic import CrossTraffic
from sinchphone.protocol.congestion.history import KEPT_PACKETS, SentPacket, SentPackets
from sinchphone.protocol.congestion.link_rate import LinkRate
from sinchphone.protocol.congestion.queueing import QueueDelay
from sinchphone.protocol.rtp.sequence import SEQUENCES
from sinchphone.protocol.rtp.transport_feedback import WRAP_SECONDS
from sinchphone.quick_dataclass import quick_dataclass

_WINDOW: Final = 1.0  # [s] of arrivals that the rate is taken from
_SURGE_WINDOW: Final = 0.25  # [s] where the link is much slower than a moment ago
_FEWEST: Final = 5  # packets, for a rate
_OTHER_CLOCK: Final = 10.0  # [s] that a packet takes longer or shorter than the one before: no queue is so long
_REORDERED: Final = 0.15  # [s] a packet may be overtaken for so long, else it's lost
_SLOWEST: Final = 0.9  # of what arrives: a link that is slower was only busy when it was measured
_CHANGED: Final = 0.1  # of the time that it takes
_KNOWN_REPORTS: Final = 30  # whose delays are remembered
_LOSSY: Final = 0.02
_DOUBTED: Final = 3  # first reports may tell of a queue that stood there before them: where a packet and the report of it took
_LONG: Final = 0.1  # [s] or longer, so many were
_OVERFLOWN: Final = 0.15  # lost, or it took
_LONGER: Final = 0.005  # [s] is more than chance, in each of them
_RISEN: Final = 0.040  # [s] longer than the one before
_SHORTEST: Final = 0.1  # [s] that a rate is taken of
_VAGUE: Final = 0.040  # [s] that a report may be late itself, or the packets lost that would have been newer


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PathSample:
    """The path at one moment. Rates in bit/s with all headers, times in seconds, ``loss`` a share."""

    queue: float  # that packets surely stand in,
    delay: float  # or perhaps
    growth: float  # of the queue, each second
    loss: float
    sent: float
    delivered: float | None  # ``None``: too little is known
    ahead: float = 0.0  # that what is sent now will stand in, by what was sent and not told of yet
    link: float | None = None  # rate of the narrowest link, whoever uses it; infinite where it's too fast to be told
    others: float = 0.0  # the share of the link that packets of others had,
    shared_link: float = 0.0  # and its rate then; 0 where nothing tells
    round_trip: float = 0.0  # of the fastest packet and the word of it, since the beginning; 0 where nothing tells
    is_full: bool | None = False  # packets get lost, and each that came right behind another one waited longer, as in a queue that is full;
    # None: none came right behind another one
    is_coarse: bool = False  # between two samples a queue may have grown to any length


class ArrivalMeter:
    """From transport-wide feedback: when each packet arrived by the peer's clock."""

    def __init__(self, sent: SentPackets) -> None:
        self._sent = sent
        self._queue = QueueDelay()
        self.link: Final = LinkRate()
        self._others = CrossTraffic()
        self._arrived: deque[SentPacket] = deque(maxlen=KEPT_PACKETS)
        self._newest: float | None = None  # arrival, on a clock that never begins again
        self._ahead: float | None = None  # [s] that the last packet took, and the peer's clock is ahead of ours
        self._round_trip = math.inf  # the shortest
        self._pace = 0.0  # [s] that the link takes for a byte
        self._rebased_at = 0.0
        self._slower_at = -math.inf  # when the link became so

    def feedback(self, arrivals: Iterable[tuple[int, float | None]], now: float = math.inf) -> PathSample | None:
        """Numbers of packets and when they came, ``None`` for not yet, told at ``now``. ``None`` where that tells nothing new."""
        fresh = False
        for number, told in arrivals:
            packet = self._sent.find(number)
            if packet is None or packet.arrived_at is not None:
                continue
            if told is None:
                packet.missing = True
                continue
            at = told if self._newest is None else told + round((self._newest - told) / WRAP_SECONDS) * WRAP_SECONDS
            self._compare_clocks(at, packet.sent_at)
            self._newest = at if self._newest is None else max(at, self._newest)
            packet.arrived_at, packet.missing, fresh = at, False, True
            self._queue.observe(self._transit(packet), packet.sent_at)
            self.link.arrived(packet, at - packet.sent_at)
            self._others.arrived(packet)
            self._arrived.append(packet)
        if not fresh or self._newest is None:
            return None
        self._round_trip = min(self._round_trip, now - self._arrived[-1].sent_at)
        while len(self._arrived) > 1 and (self._arrived[0].arrived_at or 0.0) < self._newest - _WINDOW:
            self._arrived.popleft()
        delivered = self._delivered()
        link = self._link(delivered)
        standing = self._queue.standing
        others, shared_link = self._others.told
        loss = self._lost()
        return PathSample(
            queue=standing,
            delay=standing,
            growth=self._queue.growth,
            loss=loss,
            sent=self._sent.rate(self._arrived[-1].sent_at),
            delivered=delivered,
            ahead=_ahead(self._sent, self._arrived[-1], self._queue.waited(self._transit(self._arrived[-1])), delivered or 0.0),
            link=link,
            others=others,
            shared_link=shared_link,
            round_trip=0.0 if math.isinf(self._round_trip) else self._round_trip,
            is_full=self._waits_longer() if loss > _OVERFLOWN else False,
        )

    def _compare_clocks(self, arrived_at: float, sent_at: float) -> None:
        """Forget what the peer's clock told before, where it can't be the same one: nothing can be compared with that."""
        ahead = arrived_at - sent_at
        before, self._ahead = self._ahead, ahead
        jumps = before is not None and abs(ahead - before) > _OTHER_CLOCK
        if jumps or (self._newest is not None and arrived_at < self._newest - _OTHER_CLOCK):
            self._arrived.clear()
            self._queue, self._newest, self._rebased_at, self._slower_at = QueueDelay(), None, sent_at, -math.inf
            self.link.restart()
            self._others.restart()

    def rebase(self) -> None:
        """The queue that stands now is none of ours."""
        self._queue.rebase()
        self._rebased_at = self._arrived[-1].sent_at if self._arrived else 0.0

    def _transit(self, packet: SentPacket) -> float:
        """Without what the link needs for a packet of that size."""
        return (packet.arrived_at or 0.0) - packet.sent_at - self._pace * packet.size

    def _link(self, delivered: float | None) -> float | None:
        """The link's rate, unless it carries more than that. Transits are taken anew where it has changed."""
        link = self.link.rate(self._arrived[-1].sent_at)
        if link is not None and link < _SLOWEST * (delivered or 0.0):
            self.link.forget()
            return None
        if link is None:
            return None
        if abs(self._pace - 8 / link) > _CHANGED * self._pace:
            self._pace, self._queue = 8 / link, QueueDelay()
            for packet in self._sent.packets:
                if packet.arrived_at is not None and packet.sent_at >= self._rebased_at:
                    self._queue.observe(self._transit(packet), packet.sent_at)
        return link

    def _lost(self) -> float:
        """The share of the last second's packets that are missing, but for those that may only have been overtaken."""
        until = self._arrived[-1].sent_at - _REORDERED
        missing = count = 0
        for packet in reversed(self._sent.packets):
            if packet.sent_at <= until - _WINDOW:
                break
            if packet.sent_at <= until:
                missing, count = missing + packet.missing, count + 1
        return missing / count if count else 0.0

    def _waits_longer(self) -> bool | None:
        """Whether each of the last second's packets took longer than the one sent right before it, where that came too; ``None`` where it
        did for none."""
        longer = [
            (later.arrived_at or 0.0) - later.sent_at > (packet.arrived_at or 0.0) - packet.sent_at + _LONGER
            for packet, later in pairwise(self._arrived)
            if (later.number - packet.number) % SEQUENCES == 1
        ]
        return all(longer) if longer else None

    def _delivered(self) -> float | None:
        """The rate that arrives [bit/s]: in the last second, or since the link became slower."""
        now = self._newest or 0.0
        if self._queue.surges and now - self._slower_at > _WINDOW:
            self._slower_at = now - _SURGE_WINDOW
        since = now - self._slower_at
        return self._rate_of(_WINDOW) if since >= _WINDOW else self._rate_of(max(since, _SURGE_WINDOW), _SHORTEST)

    def _rate_of(self, seconds: float, least: float = _WINDOW / 4) -> float | None:
        """Of what arrived in the last ``seconds`` [bit/s]; ``None`` where that's less than ``least`` seconds."""
        arrived = sorted([(packet.arrived_at or 0.0, packet.size) for packet in self._arrived])
        since = arrived[-1][0] - seconds
        arrived = arrived[-max(_FEWEST, sum([at >= since for at, _ in arrived])) :]
        if len(arrived) < _FEWEST or arrived[-1][0] - arrived[0][0] < least:
            return None
        return sum([size for _, size in arrived[1:]]) * 8 / (arrived[-1][0] - arrived[0][0])


class ReportMeter:
    """From receiver reports: the newest packet that had come, and the share that was lost.

    One report in a second or five that is late says little: a queue is believed where the one before, the round trip or a loss says so too.
    """

    def __init__(self, sent: SentPackets) -> None:
        self._sent = sent
        self._transits: deque[float] = deque(maxlen=_KNOWN_REPORTS)
        self._round_trips: deque[float] = deque(maxlen=_KNOWN_REPORTS)
        self._last: tuple[int, float] | None = None  # number of the newest packet, when it was reported
        self._doubted = True  # whether the fastest transit of them was without a queue

    def report(self, highest: int, loss: float, round_trip: float | None, now: float, waited: float = 0.0) -> PathSample | None:
        """A report came, and ``waited`` [s] on its way here; ``None`` where it says nothing of the packets that are known."""
        packet = self._sent.find(highest)
        if packet is None:
            return None
        before = self._transits[-1] if self._transits else None
        transit = _without(waited, now - packet.sent_at, self._transits)
        self._transits.append(transit)
        if round_trip is not None:
            self._round_trips.append(_without(waited, round_trip, self._round_trips))
        least, usual = self._bases(loss)
        wait, earlier = transit - least, 0.0 if before is None else max(0.0, before - least)
        also = max(earlier, self._round_trips[-1] - min(self._round_trips) if self._round_trips else 0.0)
        last, self._last = self._last, (packet.number, now)
        seconds = now - last[1] if last is not None else 0.0
        rate = self._rate(packet, last, transit, now)
        return PathSample(
            queue=max(0.0, (wait if loss > _LOSSY else min(wait, also)) - _VAGUE),
            delay=max(0.0, transit - usual - _VAGUE),
            growth=(transit - before) / seconds if before is not None and seconds > 0 else 0.0,
            loss=loss,
            sent=self._sent.rate(now),
            delivered=None if rate is None else rate * (1 - loss),
            ahead=_ahead(self._sent, packet, wait, rate * (1 - loss)) if rate else 0.0,
        )

    def _bases(self, loss: float) -> tuple[float, float]:
        """What a packet takes without the queue that surely stands there, and without the one that perhaps does [s].

        The first reports may have been preceded by a queue already; that one fell out of it, or waits longer and longer, gives it away.
        """
        least = min(self._transits)
        if not self._doubted:
            return least, least
        first = len(self._transits) <= _DOUBTED
        risen = len(self._transits) > 1 and self._transits[-1] - self._transits[-2] > _RISEN
        known = min(least, _LONG)
        return known if loss > _OVERFLOWN or (first and risen) else least, known if first else least

    def _rate(self, packet: SentPacket, last: tuple[int, float] | None, transit: float, now: float) -> float | None:
        """Of the packets that left the path or fell out of it, from the newest of the report before to ``packet`` [bit/s]."""
        if last is not None:
            octets, seconds = self._sent.size_between(last[0], packet.number), now - last[1]
        else:
            first = self._sent.packets[0]
            octets = first.size + self._sent.size_between(first.number, packet.number)
            seconds = packet.sent_at - first.sent_at + max(0.0, transit - _LONG)
        return octets * 8 / seconds if seconds > _SHORTEST else None

    def rebase(self) -> None:
        """The queue that stands now is none of ours."""
        self._doubted = False
        self._transits = deque(list(self._transits)[-1:], maxlen=_KNOWN_REPORTS)
        self._round_trips = deque(list(self._round_trips)[-1:], maxlen=_KNOWN_REPORTS)


def _without(waited: float, taken: float, known: Collection[float]) -> float:
    """What it took [s] but for what it has ``waited``, as far as that's possible: it can't have been faster than the fastest known."""
    return max(taken - waited, min(taken, *known)) if known else taken


def _ahead(sent: SentPackets, newest: SentPacket, waited: float, carried: float) -> float:
    """The queue in front of what is sent now [s]: that in which the newest packet that came has waited, and what was sent since and isn't
    carried yet."""
    if not carried:
        return 0.0
    octets = 0
    for packet in reversed(sent.packets):
        if packet.sent_at <= newest.sent_at:
            break
        octets += packet.size
    return max(0.0, waited + octets * 8 / carried - (sent.packets[-1].sent_at - newest.sent_at))
