"""A leg's receive side: packets in from the network, samples out at the moment somebody needs them.

::

    network thread -> push -> jitter buffer -> pull -> decode, rebuild or conceal -> stretch -> samples -> sound thread

Nothing is decoded ahead and nothing waits in a queue: the delay is what the network's jitter asks for and no more.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.levels.level import FULL_SCALE
from sinchphone.audio.playout.jitter import JitterBuffer, JitterStats, Late, Lost, NotYet, Packet
from sinchphone.audio.playout.stretch import adjust, trim
from sinchphone.errors import MediaError
from sinchphone.media.codecs.codec import Decoder
from sinchphone.quick_dataclass import quick_dataclass

MAX_PAYLOAD_BYTES: Final = 1500  # an RTP packet fits into one datagram

_WAIT_SAMPLES: Final = 480  # made up at a time while a packet is late: the shortest that Opus conceals well
_BLEND: Final = 480  # samples in which made-up sound flows into what came after all
_FADE_FROM: Final = 20_160  # samples: 20 ms beyond the longest pause between Opus DTX packets (400 ms), whose background noise must go on
_FADE_TO: Final = RATE  # made-up sound is silent after a second
_SLACK: Final = 0.010  # [s] that the delay may be above the target, or 15 % of it
_SLACK_SHARE: Final = 0.15
_SETTLED: Final = 0.004  # [s] above the target where shrinking ends that began above the slack
_SHORTAGE: Final = 0.006  # [s] that it may be below: the target has 8 ms more than the jitter seen
_IDLE_PACKETS: Final = 50  # in a row that were asked for while there were, whatever blocks a device asks in,
_IDLE_SAMPLES: Final = 120  # or more still ahead: they can be left out
_MAX_BLOCK: Final = 0.060  # [s] of a pull that is allowed for
_FORGET_LARGEST: Final = 0.995  # a packet: it's half after three seconds
_REREAD: Final = 3  # packets until a decoder that missed some sounds as if it hadn't
_NOTHING: Final = silence(0)
_SPEECH_SHARE: Final = 0.5
_LOUDEST_NOISE: Final = 0.01  # of full scale, -40 dBFS: comfort noise that is louder comforts nobody


@quick_dataclass(frozen=True, slots=True)
class ReceiverStats:
    """Counters since the start. ``None``: not known yet."""

    packets_received: int  # all that were pushed
    packets_late: int  # came after their moment
    packets_mended: int  # lost, but played from a copy in a later packet or because they were sent again
    packets_skipped: int  # came in time, but were left out in order to catch up
    bad_packets: int  # could not be decoded, or fit no stream
    concealed_samples: int  # made up for what was lost or late; not what was rebuilt from a copy, nor a pause in which nothing was sent
    absent_samples: int  # silence in place of sound that never came: nothing is made up for so long
    played_samples: int  # handed out since the first sound, with the concealed and the absent ones
    recovered_samples: int  # decoded from a codec's own copy in the next packet, which is coarser
    coded_bytes: int  # of the packets that were decoded, but for those of pauses,
    coded_samples: int  # and the sound in them
    delay_ms: float | None  # from the arrival over the fastest path to the pull
    target_ms: float
    jitter_ms: float | None  # RFC 3550 A.8


class Receiver:
    """Turns one peer's packets into an endless line of samples. ``push`` and ``pull`` don't raise, whatever the peer sends.

    The buffer's lock is held for a few microseconds at a time, never while decoding: a network thread doesn't wait for a sound thread.
    """

    def __init__(self, decoder: Decoder, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._decoder = decoder
        self._clock = clock
        self._buffer = JitterBuffer()
        self._lock = threading.Lock()  # of the buffer and the count of bad packets
        self._pulling = threading.Lock()  # of all the rest: a decoder stands one thread
        self._ahead = silence(0)  # decoded, not handed out yet
        self._idle: deque[int] = deque([0], maxlen=_IDLE_PACKETS)  # samples ahead each time a packet was asked for
        self._shrinks = False  # on the way down to the target
        self._heard = False  # the first sound came
        self._made_up = 0  # samples in a row
        self._unjudged = 0  # of them, in a gap that may turn out to be a pause of the sender's
        self._last: Packet | None = None  # decoded
        self._noted = False  # the decoder remembers where making up began
        self._tail = silence(0)  # what the made-up sound goes on with: flows into the next that isn't
        self._resting = False  # the peer sends no sound on purpose
        self._hushed = False  # and it's no longer made up
        self._noise = 0.0  # RMS of comfort noise [sample steps]
        self._random: np.random.Generator | None = None  # once there is noise to make
        self._skims = self._skimmed = False  # who pulls wants only speech; what is pulled last wasn't decoded
        self._unknown = 0  # samples at the end of those ahead that weren't
        self._unread: deque[bytes] = deque(maxlen=_REREAD)  # the last packets that weren't
        self._bad = self._received = self._concealed = self._absent = self._played = self._recovered = 0
        self._coded = _CodedSpeech()
        self._delay: float | None = None

    def push(self, sequence: int, timestamp: int, payload: bytes, now: float | None = None, *, spare: bool = False) -> None:
        """Take a packet that arrived at ``now`` on ``clock`` (or just now). Any thread.

        ``spare``: it was sent again, or is a copy within a later packet, after which it's pushed; nothing counts it.
        """
        at = self._clock() if now is None else now
        samples = self._decoder.duration(payload) if 0 < len(payload) <= MAX_PAYLOAD_BYTES else 0
        copied = self._decoder.recoverable(payload) if samples else 0
        packet = Packet(sequence % 0x10000, timestamp % 0x100000000, payload, samples, copied, spare)
        with self._lock:
            self._received += not spare
            if samples:
                self._resting = self._resting and spare  # what comes again is from before the rest
                self._buffer.push(packet, at)
            else:
                self._bad += not spare

    def restart(self) -> None:
        """What is pushed from now on is of another source (RFC 3550 8.2: another SSRC). Any thread."""
        with self._lock:
            self._buffer.restart()

    def rest(self, noise_dbfs: float = -math.inf) -> None:
        """Until the next packet the peer sends no sound, on purpose: it sends a digit, or says how loud its silence is. Any thread."""
        with self._lock:
            self._noise = min(10 ** (noise_dbfs / 20), _LOUDEST_NOISE) * FULL_SCALE
            self._resting = True

    def pull(self, samples: int) -> Samples:
        """Exactly the next ``samples``, decoded now; silence before the first sound. Any thread."""
        with self._pulling:
            return self._gather(samples)[0]

    def skim(self, samples: int) -> Samples | None:
        """As ``pull``, for somebody who wants to know whether the peer speaks: ``None`` where its encoder says that it doesn't. That isn't
        decoded. Of what was skimmed over the last packets are decoded before the next sound, so that this sounds as it should."""
        with self._pulling:
            self._skims = True
            pulled, is_known = self._gather(samples)
            self._skims = False
            return pulled if is_known else None

    def _gather(self, samples: int) -> tuple[Samples, bool]:
        """The next ``samples``, and whether anything in them was decoded or made up."""
        now = self._clock()
        while len(self._ahead) < samples:
            self._skimmed = False
            sound = self._next(now, samples)
            self._unknown = self._unknown + len(sound) if self._skimmed else 0
            self._ahead = np.concatenate([self._ahead, sound]) if len(self._ahead) else sound
        is_known = self._unknown < len(self._ahead)
        if len(self._ahead) == samples:
            pulled, self._ahead = self._ahead, _NOTHING
        else:
            pulled, self._ahead = self._ahead[:samples], self._ahead[samples:]
        self._unknown = min(self._unknown, len(self._ahead))
        if self._heard:
            self._played += samples
        return pulled, is_known

    def heard_at(self, timestamp: int) -> float | None:
        """When the sample with that time stamp is pulled, as things are; ``None`` while nothing plays. Any thread."""
        delay = self._delay
        with self._lock:
            at = self._buffer.fastest_arrival(timestamp)
        return None if at is None or delay is None else at + delay

    def delay_at_least(self, seconds: float) -> None:
        """Have the sound so late from now on, little by little: what belongs to it comes later. Any thread."""
        with self._lock:
            self._buffer.least_delay = seconds

    def buffered(self) -> JitterStats:
        """What the jitter buffer did until now. Any thread."""
        with self._lock:
            return self._buffer.stats()

    def stats(self) -> ReceiverStats:
        """Counters at this moment. Any thread."""
        with self._lock:
            buffer, bad, received = self._buffer.stats(), self._bad, self._received
        return ReceiverStats(
            packets_received=received,
            packets_late=buffer.late,
            packets_mended=buffer.mended,
            packets_skipped=buffer.skipped,
            bad_packets=bad + buffer.stray,
            concealed_samples=self._concealed,
            absent_samples=self._absent,
            played_samples=self._played,
            recovered_samples=self._recovered,
            coded_bytes=self._coded.bytes,
            coded_samples=self._coded.samples,
            delay_ms=None if self._delay is None else self._delay * 1000,
            target_ms=buffer.target * 1000,
            jitter_ms=None if buffer.jitter is None else buffer.jitter * 1000,
        )

    def _next(self, now: float, wanted: int) -> Samples:
        """At least one sample more."""
        with self._lock:
            pulled = self._buffer.pull(now)
            delay, target = self._buffer.delay(now), self._buffer.target
        match pulled:
            case Packet():
                sound = self._play(pulled, delay + pulled.samples / RATE, target, wanted)
                return self._flow(sound) if len(self._tail) else sound
            case Late():
                return self._flow(self._rejoin(pulled, delay, target, wanted))
            case Lost():
                return self._flow(self._fill(pulled))
            case NotYet():
                return self._wait(wanted)

    def _play(self, packet: Packet, delay: float, target: float, wanted: int) -> Samples:
        sound = self._decode(packet, delay)
        return sound if self._made_up else self._fit(sound, delay, target, min(wanted / RATE, _MAX_BLOCK))

    def _rejoin(self, late: Late, delay: float, target: float, wanted: int) -> Samples:
        """What came after all, from where the made-up sound has got to: the decoder goes on as if it had been in time.

        A decoder whose state was made up sounds wrong for some frames more. Of a packet that comes too late to be heard that's what is
        gained. (20 % lost, two copies, waiting for one: PESQ 2.6 to 3.4.)
        """
        if not self._hushed and (self._noted or late.stood):
            self._tail = self._made_up_further() if self._made_up else self._tail
            if self._noted:
                self._decoder.go_back()
        delay += (late.packet.samples - late.stood) / RATE
        if not late.stood:
            return self._play(late.packet, delay, target, wanted)
        return self._decode(late.packet, delay)[late.stood :]

    def _made_up_further(self) -> Samples:
        self._catch_up()
        try:
            return self._decoder.conceal(_BLEND)
        except MediaError:
            return silence(0)

    def _flow(self, sound: Samples) -> Samples:
        """The sound that was made up last flows into ``sound``."""
        if not len(self._tail):
            return sound
        count = min(len(self._tail), len(sound))
        self._concealed += 0 if self._made_up else count // 2  # half of what is heard meanwhile
        rise = np.linspace(0, 1, count + 2, dtype=np.float32)[1:-1]
        mixed = self._tail[:count] * (1 - rise) + sound[:count] * rise
        self._tail = silence(0)
        return np.concatenate([np.rint(mixed).astype(np.int16), sound[count:]])

    def _decode(self, packet: Packet, delay: float) -> Samples:
        """Its sound, made up where it can't be decoded."""
        self._delay = delay + len(self._ahead) / RATE
        self._noted = False
        self._idle.append(len(self._ahead))
        self._judge_gap(packet)
        if self._skims and self._decoder.is_background(packet.payload):
            self._unread.append(packet.payload)
            self._skimmed, sound = True, silence(packet.samples)
        else:
            sound = self._read(packet.payload)
        if not len(sound):
            with self._lock:
                self._bad += 1
            return self._conceal(packet.samples)
        self._coded.push(len(packet.payload), packet.samples)
        self._heard = True
        self._hushed = False
        self._made_up = 0
        return sound

    def _read(self, payload: bytes) -> Samples:
        """A packet's sound, after what was skimmed over before it; none where it can't be decoded."""
        if self._unread:
            self._catch_up()
        try:
            return self._decoder.decode(payload)
        except MediaError:
            return silence(0)

    def _catch_up(self) -> None:
        while self._unread:
            with suppress(MediaError):
                self._decoder.decode(self._unread.popleft())

    def _judge_gap(self, packet: Packet) -> None:
        """Where numbers go on and time stamps have a gap, nothing was sent (DTX): the sound before it went on as it should."""
        last, self._last = self._last, packet
        gap, self._unjudged = self._unjudged, 0
        steps = (packet.sequence - last.sequence) % 0x10000 if last is not None else 0
        if last is None or steps != 1 or (packet.timestamp - last.timestamp) % 0x100000000 <= last.samples:
            self._concealed += gap

    def _fit(self, sound: Samples, delay: float, target: float, block: float) -> Samples:
        """Shorten or lengthen ``sound`` a little where the delay is off the target.

        ``delay`` is what protects from jitter: it ends when a packet is asked for, which happens at the start of a block. So it moves
        in steps of up to a block, and the room between too much and too little is no narrower than that, lest the one follow the other.
        """
        enough = max(_SETTLED, block - _SHORTAGE) if self._shrinks else max(_SLACK, _SLACK_SHARE * target, block)
        self._shrinks = delay > target + enough
        if self._shrinks:
            return adjust(sound, delay - target)
        if delay < target - _SHORTAGE:
            return adjust(sound, delay - (target - _SHORTAGE))
        return self._trim(sound)

    def _trim(self, sound: Samples) -> Samples:
        """What has been there for a while whenever a packet was asked for, protects from nothing: it only makes sound late."""
        idle = min(self._idle)
        if len(self._idle) < _IDLE_PACKETS or idle < _IDLE_SAMPLES:
            return sound
        self._idle.clear()
        return trim(sound, idle)

    def _fill(self, hole: Lost) -> Samples:
        self._noted = False
        if hole.copy is not None:
            self._catch_up()
            try:
                sound = self._decoder.recover(hole.copy.payload, hole.samples)
            except MediaError:
                return self._conceal(hole.samples)
            self._made_up = 0
            self._recovered += len(sound)
            return sound
        return self._conceal(hole.samples, judged=not hole.paused)

    def _wait(self, wanted: int) -> Samples:
        if not self._heard:
            return silence(wanted - len(self._ahead))
        with self._lock:
            self._buffer.wait(_WAIT_SAMPLES)
        if not self._made_up:
            self._noted = not self._unread and self._decoder.note()
        return self._flow(self._conceal(_WAIT_SAMPLES, judged=False))

    def _conceal(self, samples: int, *, judged: bool = True) -> Samples:
        """Made-up sound, which fades when it's all there is for long. ``judged``: something is known to be missing."""
        if self._resting or self._hushed:
            return self._hush(samples)
        begun = self._made_up
        self._made_up += samples
        if begun >= _FADE_TO:
            self._absent += samples
            return silence(samples)
        self._unjudged += samples
        if judged or self._made_up > _FADE_FROM:
            self._concealed, self._unjudged = self._concealed + self._unjudged, 0
        if self._unread:  # the decoder knows nothing of what was before
            self._skimmed = True
            return silence(samples)
        try:
            sound = self._decoder.conceal(samples)
        except MediaError:
            return silence(samples)
        if self._made_up <= _FADE_FROM:
            return sound
        gain = (_FADE_TO - np.arange(begun, begun + samples, dtype=np.float32)) / (_FADE_TO - _FADE_FROM)
        return (sound * np.clip(gain, 0, 1)).astype(np.int16)

    def _hush(self, samples: int) -> Samples:
        """No sound, or comfort noise: the sound before it fades at once, and counts as neither concealed nor lost."""
        if self._skims or self._unread:
            self._hushed = self._skimmed = True
            return silence(samples)
        try:
            sound = self._decoder.conceal(samples)  # all the time, lest the decoder's next sound begin where the last one ended
        except MediaError:
            sound = silence(samples)
        gain = np.zeros(samples) if self._hushed else np.linspace(1, 0, samples)
        self._hushed = True
        noise = self._comfort_noise(samples) if self._noise else 0.0
        return np.clip(sound * gain + noise, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)

    def _comfort_noise(self, samples: int) -> NDArray[np.float64]:
        self._random = self._random or np.random.default_rng()
        return self._noise * self._random.standard_normal(samples)


class _CodedSpeech:
    """Counts packets that are as large as those of speech: with a variable bit rate pauses are much smaller."""

    def __init__(self) -> None:
        self.bytes = self.samples = 0
        self._largest = 0.0  # bytes a sample, of late

    def push(self, size: int, samples: int) -> None:
        """A packet was decoded."""
        rate = size / samples if samples else 0.0
        self._largest = max(rate, _FORGET_LARGEST * self._largest)
        if rate >= _SPEECH_SHARE * self._largest:
            self.bytes += size
            self.samples += samples
