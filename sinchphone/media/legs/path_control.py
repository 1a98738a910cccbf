"""What a port sends over its path, and how much of it the path carries: one for all streams of a port.

::

    streams -> send -> transmit              reports and feedback of the peer -> CongestionController -> budget -> streams
    arrived <- packets of the peer           feedback of ours -> transmit

Where both ends agreed on it, each packet has a number and the peer tells when each one came (transport-wide feedback, draft-holmer-rmcat);
else what its receiver reports say must do, and the round trips of checks where these are sent (ICE).
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sinchphone.protocol.congestion.allocation import Demand, Priority, allocate
from sinchphone.protocol.congestion.controller import FLOOR, UNTOLD, CongestionController
from sinchphone.protocol.congestion.feedback_schedule import FeedbackSchedule
from sinchphone.protocol.congestion.history import SentPackets
from sinchphone.protocol.congestion.link_rate import FASTEST_TOLD
from sinchphone.protocol.congestion.meters import ArrivalMeter, ReportMeter
from sinchphone.protocol.congestion.round_trips import CHECK_BYTES, RoundTripMeter
from sinchphone.protocol.rtp.packet import ReportBlock, decode_packet, pad_packet, padding_bytes
from sinchphone.protocol.rtp.sequence import SEQUENCES
from sinchphone.protocol.rtp.transport_feedback import EXTENSION_BYTES, Arrivals, TransportFeedback, number_packet, packet_number

BELOW_BYTES: Final = 38  # of a packet, below RTP: IPv4, UDP, the tag of SRTP
_INDEX_BYTES: Final = 4  # of a packet of RTCP, above that (RFC 3711 3.4)
_UNTIL_SEEN: Final = 0.3  # [s] a report may be late after the loss that it tells of
_FEEDBACK_FRESH: Final = 3.0  # [s] after which reports must do again
_UNTOLD_SECONDS: Final = 3.0  # after which a peer that has told nothing isn't waited for
_MEAN: Final = 0.88  # of a limit: Opus spends more on loud moments, and less on others
_MARGIN: Final = 1.15  # over what a stream has spent
_PEAK_SECONDS: Final = 10.0  # in which half of a peak is forgotten: pauses in what people say are shorter
_RESENT_SECONDS: Final = 2.0  # in which what is sent again is counted: as much will be,
_CONTROL_SECONDS: Final = 2.0  # in which RTCP is counted where all that is sent has a limit,
_REPORTS_LEAST, _FEEDBACK_LEAST = 1_000.0, 3_000.0  # [bit/s] and no less than so much is left for it: for reports, or with feedback
_ROOM_SHARE: Final = 0.85  # of that limit: what is sent anew, and reports, may be more in one second than in the next
_RESENT_MOST: Final = 0.15  # of the budget: more is asked for only where a queue of others is full
_FAST: Final = 2.0  # times as fast as what is sent is a link that carries some packets twice
_FIRST_SECONDS: Final = 0.6  # in which the sound shows what it needs, and the peer how fast the path is
_PADDED: Final = 5  # packets of a second, at most
_ROOMY: Final = 1 << 20
_SENDING_SECONDS: Final = 1.0  # after the last packet
_LOSS_SECONDS: Final = 3.0  # of reports whose loss is taken together: one of 50 packets is much by chance;
_KNOWN_LOSSES: Final = 12  # or the last one, where they are rarer
_LONG_WAIT: Final = 0.1  # [s]
_DOUBTS: Final = 3  # then checks are treated in another way than what is sent


class PathControl:
    """In the media thread only. ``transmit`` takes a packet and says whether it went out; ``max_kbps`` bounds all of them in any second,
    RTCP too."""

    def __init__(
        self, transmit: Callable[[bytes], bool], *, max_kbps: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = math.inf if max_kbps is None else 1000.0 * max_kbps
        self._spent: deque[tuple[float, int]] = deque()  # when, and bytes, of the last second's packets
        self._resent: deque[tuple[float, int]] = deque()  # when, and bytes, of the last packets that were sent again
        self._feedback_schedule = FeedbackSchedule(self._most)
        self._controls: deque[tuple[float, int]] = deque()  # when, and bytes, of the last packets of RTCP, where there is a limit
        self._transmit = transmit
        self.relay_bytes = 0  # that a relay on our side adds to each packet
        self._clock = clock
        self._controller = CongestionController()
        self._demands: dict[int, Demand] = {}
        self._peaks: dict[int, tuple[float, float]] = {}  # by SSRC: what it spent, and when that was seen
        self._by_ssrc: dict[int, tuple[SentPackets, ReportMeter]] = {}
        self._extension: int | None = None  # under which packets are numbered
        self._number = 0  # of the next one
        self._numbered = SentPackets()
        self._sent_bytes: Counter[int] = Counter()  # by SSRC
        self._arrival_meter = ArrivalMeter(self._numbered)
        self._fed_back_at: float | None = None
        self._begun_at: float | None = None  # sending
        self._told = False  # something of the path
        self._asked_at: float | None = None  # first for what is left
        self._arrivals = Arrivals()
        self._sent_at = -math.inf
        self._octets = 0  # that were sent in all
        self._trips = RoundTripMeter()
        self._checked: object = None  # the path that they are of
        self._lost: deque[tuple[float, float]] = deque(maxlen=_KNOWN_LOSSES)  # shares that reports told of, and when
        self._doubts = 0  # reports in a row that tell of a queue in which no check waited

    def demand(self, ssrc: int, demand: Demand | None) -> None:
        """What the stream of that SSRC can make use of from now on; ``None``: it sends nothing any more."""
        if demand is None:
            self._demands.pop(ssrc, None)
        else:
            self._demands[ssrc] = demand
        self._controller.has_pictures = any(each.priority == Priority.PICTURES for each in self._demands.values())

    def share(self, ssrc: int) -> float:
        """What a stream that has told its demand may send [bit/s], headers included: sound first, pictures what is left."""
        budget = max(self._controller.budget, UNTOLD) if self._is_untold() else self._controller.budget
        if self._trips.are_missed:
            budget = min(budget, FLOOR)
        again = min(self._resent_rate(), _RESENT_MOST * budget)
        return allocate(min(budget - again, self._bound()), self._demands).get(ssrc, 0.0)

    def _bound(self) -> float:
        """What streams may send where all that is sent has a limit [bit/s]: that without RTCP, and with room for loud moments."""
        if math.isinf(self._most):
            return math.inf
        least = _REPORTS_LEAST if self._extension is None else _FEEDBACK_LEAST
        return max(0.0, _MEAN * self._most - max(least, self._rate_of(self._controls, _CONTROL_SECONDS)))

    def _rate_of(self, sent: deque[tuple[float, int]], seconds: float) -> float:
        """Of packets that went out lately [bit/s]; older ones are forgotten."""
        since = self._clock() - seconds
        while sent and sent[0][0] <= since:
            sent.popleft()
        return sum(size for _, size in sent) * 8 / seconds

    def control(self, packet: bytes) -> bytes:
        """A packet of RTCP that goes out now: it's within the limit too."""
        if not math.isinf(self._most):
            size = self._size_of(packet) + _INDEX_BYTES
            self._controls.append((self._clock(), size))
            self._note_spent(size)
        return packet

    def _size_of(self, packet: bytes) -> int:
        """With all headers."""
        return len(packet) + BELOW_BYTES + self.relay_bytes

    def _note_spent(self, size: int) -> None:
        now = self._clock()
        while self._spent and self._spent[0][0] <= now - 1.0:
            self._spent.popleft()
        self._spent.append((now, size))

    def _resent_rate(self) -> float:
        """What was sent again lately [bit/s]."""
        return self._rate_of(self._resent, _RESENT_SECONDS)

    def resend(self, packet: bytes) -> None:
        """Send an RTP packet that was sent before, if there is room for it and the next new one: not in a queue that others keep full."""
        size = self._size_of(packet)
        now = self._clock()
        if 2 * size <= self.room and not self._controller.is_beside_others(now) and not self._is_overdue(now):
            self._resent.append((self._clock(), size))
            self.send(packet)

    @property
    def carries_more(self) -> bool:
        """Whether the link is known to be much faster than what is sent. Where the peer doesn't tell of each packet it can't be known, and
        is believed."""
        now, link = self._clock(), self._controller.link
        return not self._is_fed_back(now) or (link is not None and link >= _FAST * self._numbered.rate(now))

    def _is_fed_back(self, now: float) -> bool:
        """Whether the peer tells of each packet, or did a moment ago."""
        return self._fed_back_at is not None and now - self._fed_back_at < _FEEDBACK_FRESH

    @property
    def is_told(self) -> bool:
        """Whether the peer has told anything of what was sent: before, the share is small on any path."""
        return self._told

    def _is_untold(self) -> bool:
        """Whether the peer has told nothing of what was sent for so long that it won't do so soon."""
        return not self._told and self._begun_at is not None and self._clock() - self._begun_at > _UNTOLD_SECONDS

    def left_for(self, ssrc: int) -> float:
        """What a stream of pictures may send [bit/s], headers included: those before it count with what they have spent lately, not with
        what they may. Else a silent sound would keep it from trying the path. At first nothing is known of that, and nothing is left."""
        now = self._clock()
        self._asked_at = now if self._asked_at is None else self._asked_at
        if now - self._asked_at < _FIRST_SECONDS:
            return 0.0
        demands = {
            stream: demand if stream == ssrc else replace(demand, most=min(demand.most, self._spending(stream, now)))
            for stream, demand in self._demands.items()
        }
        return allocate(min(self._controller.budget, self._bound()), demands).get(ssrc, 0.0)

    def _spending(self, ssrc: int, now: float) -> float:
        """The highest rate of the last seconds, about."""
        if ssrc not in self._by_ssrc:
            return 0.0
        before, at = self._peaks.get(ssrc, (0.0, now))
        peak: float = max(_MARGIN * self._by_ssrc[ssrc][0].rate(now), before * 0.5 ** ((now - at) / _PEAK_SECONDS))
        self._peaks[ssrc] = peak, now
        return peak

    def may_carry(self, more: float) -> bool:
        """Whether nothing is known of the link that says that so much more than now [bit/s] is too much."""
        link = self._controller.link
        return link is None or link > more + sum(self._spending(ssrc, self._clock()) for ssrc in self._demands)

    def haste(self, share: float, *, usual: float, most: float) -> float:
        """How fast a burst of a stream with that share may go [bit/s]: so much above it, and more where link and share are both faster than
        what could be told: hardly a queue grows behind it then. No faster where all that is sent has a limit, and not at all where the
        last second has reached it."""
        if not math.isinf(self._most):
            return share if self._left_of(_ROOM_SHARE) > 0 else 0.0
        link = self._controller.link
        fast = link is not None and math.isinf(link) and share > FASTEST_TOLD
        return (most if fast else usual) * share

    def steady_share(self, ssrc: int) -> float:
        """The same once the queue of now is gone."""
        return allocate(min(self._controller.steady, self._bound()), self._demands).get(ssrc, 0.0)

    @property
    def room(self) -> int:
        """Bytes that may be sent beside the streams at this moment, headers included."""
        if math.isinf(self._most):
            return _ROOMY
        begun = self._clock() if self._begun_at is None else self._begun_at
        seconds = min(1.0, self._clock() - begun)  # the rest of the first one is for what is new
        return self._left_of(_ROOM_SHARE * seconds)

    def _left_of(self, share: float) -> int:
        """Bytes that the last second leaves of so much of the limit."""
        since = self._clock() - 1.0
        return int(share * self._most / 8) - sum(size for at, size in self._spent if at > since)

    def is_congested(self, since: float) -> bool:
        """Whether what got lost after that moment fell out of a queue of ours."""
        return self._controller.congested_since(since - _UNTIL_SEEN)

    @property
    def is_held(self) -> bool:
        """Whether what is sent now stands in a queue of ours for so long that it comes too late."""
        now = self._clock()
        return self._controller.is_held(now) or self._is_overdue(now)

    def _is_overdue(self, now: float) -> bool:
        """Whether answers to checks stay away as if a long queue stood there."""
        return self._trips.has_asked and self.measures_round_trips and self._trips.is_overdue(self._loss(now), now)

    @property
    def is_shared(self) -> bool:
        """Whether others keep the queue full: packets will get lost."""
        return self._controller.is_beside_others(self._clock())

    @property
    def loses_in_bursts(self) -> bool:
        """Whether their packets make us lose some in a row."""
        return self._controller.loses_in_bursts(self._clock())

    def agree(self, extension: int | None) -> None:
        """From now on number packets under this header extension, and tell of the peer's; ``None``: it doesn't know that."""
        self._extension = extension

    def pad(self, packet: bytes) -> bytes:
        """A new RTP packet, now and then with padding that tells how fast the path is."""
        if self._extension is None:
            return packet
        now = self._clock()
        link = self._arrival_meter.link
        if not link.is_due(self._size_of(packet) + EXTENSION_BYTES, now):
            return packet
        sent = self._numbered.rate(now)
        padding = link.padding(sent, now)
        return pad_packet(packet, padding) if sent + _PADDED * 8 * padding <= self._bound() else packet

    def send(self, packet: bytes) -> bool:
        """Send an RTP packet; whether it went out."""
        now, ssrc = self._clock(), int.from_bytes(packet[8:12], "big")
        if self._begun_at is None:
            self._begun_at = now
        size = self._size_of(packet)
        self._history(ssrc).add(int.from_bytes(packet[2:4], "big"), size, now)
        if self._extension is not None:
            padding = padding_bytes(packet)
            packet = number_packet(packet, self._extension, self._number)
            size = self._size_of(packet)
            self._numbered.add(self._number, size, now, padding)
            self._number = (self._number + 1) % SEQUENCES
        if not math.isinf(self._most):
            self._note_spent(size)
        if self._trips.has_asked and self.measures_round_trips and (sound := decode_packet(packet)) is not None:
            self._trips.sent(sound.payload)
        self._sent_at = now
        self._octets += size
        if not self._transmit(packet):
            return False
        self._sent_bytes[ssrc] += size
        return True

    def _history(self, ssrc: int) -> SentPackets:
        """Of that stream's packets."""
        known = self._by_ssrc.get(ssrc)
        if known is None:
            sent = SentPackets()
            known = self._by_ssrc[ssrc] = sent, ReportMeter(sent)
        return known[0]

    def sent_bytes(self, ssrc: int) -> int:
        """Of a stream's packets, what was sent again and all headers with them (as of IPv4)."""
        return self._sent_bytes[ssrc]

    def arrived(self, packet: bytes, sender: int, cname: str) -> None:
        """An RTP packet of the peer: tell it of this one and those before, now and then."""
        number = None if self._extension is None else packet_number(packet, self._extension)
        if number is None:
            return
        now = self._clock()
        self._arrivals.note(number, now)
        if self._feedback_schedule.is_due(len(packet) + BELOW_BYTES, now):
            for feedback in self._arrivals.encode(sender, int.from_bytes(packet[8:12], "big"), cname):
                self._transmit(self.control(feedback))

    def fed_back(self, feedback: TransportFeedback) -> bool:
        """The peer tells when numbered packets came; whether it's the first that it tells of one of them."""
        self._fed_back_at = now = self._clock()
        sample = self._arrival_meter.feedback(feedback.by_number, now)
        if sample is None:
            return False
        self._told = True
        if self._controller.judge(sample, now):
            self._arrival_meter.rebase()
        return True

    def reported(self, block: ReportBlock, round_trip_ms: float | None) -> None:
        """The peer tells what it got of one stream."""
        now, (_, meter) = self._clock(), self._by_ssrc.get(block.ssrc, (None, None))
        if meter is None:
            return
        round_trip = None if round_trip_ms is None else round_trip_ms / 1000
        self._lost.append((block.fraction_lost / 256, now))
        waited = self._trips.waits_back(now) if self._trips.has_asked and self.measures_round_trips else 0.0
        sample = meter.report(block.highest_sequence, block.fraction_lost / 256, round_trip, now, waited)
        if sample is None or self._is_fed_back(now):
            return
        self._told = True
        self._doubts = self._doubts + 1 if sample.queue > _LONG_WAIT and self._trips.sees_none else 0
        if self._are_trips_believed(now):
            return
        if self._controller.judge(sample, now):
            meter.rebase()

    def moved(self) -> None:
        """From now on packets take another path: what is known of the one before, and told of its packets, says nothing of it."""
        had_pictures = self._controller.has_pictures
        self._controller = CongestionController()
        self._controller.has_pictures = had_pictures
        self._numbered = SentPackets()
        self._arrival_meter = ArrivalMeter(self._numbered)
        self._by_ssrc.clear()
        self._lost.clear()
        self._doubts = 0
        self._checked, self._trips = None, RoundTripMeter(after=self._trips.asked_last)

    # round trips of checks, where the peer doesn't tell of each packet

    @property
    def measures_round_trips(self) -> bool:
        """Whether nothing else tells of the path soon enough, and something is sent."""
        now = self._clock()
        begun = now if self._begun_at is None else self._begun_at
        is_told = self._extension is not None and (self._fed_back_at is not None or now - begun <= _UNTOLD_SECONDS)
        return not is_told and (self._trips.has_just_begun or now - self._sent_at < _SENDING_SECONDS)

    def came(self, packet: bytes, transit: float) -> None:
        """An RTP packet of the peer took so long [s], by a clock of its own."""
        if self.measures_round_trips and (came := decode_packet(packet)) is not None:
            self._trips.came(transit, came.payload, self._clock())

    def check_in(self) -> float:
        """How long until a check should be sent [s]; infinite where none is needed here."""
        if not self.measures_round_trips:
            return math.inf
        return self._trips.check_in(min(self._most, self._controller.budget), self._clock(), CHECK_BYTES + self.relay_bytes)

    def checked(self, path: object) -> int:
        """A check goes out over ``path``; its number. What is known of another path isn't of this one."""
        if path != self._checked:
            self._checked, self._trips = path, RoundTripMeter(after=self._trips.asked_last)
        now, size = self._clock(), CHECK_BYTES + self.relay_bytes
        if not math.isinf(self._most):
            self._controls.append((now, size))
            self._note_spent(size)
        self._octets += size
        return self._trips.asked(self._octets, now)

    def answered(self, number: int) -> None:
        """The answer to the check of that number has come."""
        now = self._clock()
        sample = self._trips.answered(number, self._octets, self._rate_of_all(now), self._loss(now), now)
        if sample is None or not self.measures_round_trips or not self._are_trips_believed(now) or self._is_fed_back(now):
            return
        self._told = True
        if self._controller.judge(sample, now):
            self._trips.rebase()

    def _are_trips_believed(self, now: float) -> bool:
        """Whether the last checks tell more of the path than reports."""
        return self._trips.is_fresh(now) and self._doubts < _DOUBTS

    def _rate_of_all(self, now: float) -> float:
        return sum(sent.rate(now) for sent, _ in self._by_ssrc.values())

    def _loss(self, now: float) -> float:
        """What the last reports told of."""
        lately = [share for share, at in self._lost if now - at < _LOSS_SECONDS] or [share for share, _ in self._lost][-1:]
        return sum(lately) / len(lately) if lately else 0.0
