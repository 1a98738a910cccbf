"""A leg's send side: 20 ms frames to Opus to RTP, at once and without a queue (RFC 3550, RFC 7587)."""

import secrets
import time
from collections.abc import Callable
from typing import Final

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Frame
from sinchphone.errors import MediaError
from sinchphone.media.codecs.opus import Encoder
from sinchphone.protocol.rtp import Packet, ReportBlock, SenderInfo, encode_packet, ntp_time

BITRATE: Final = 40_000  # [bit/s]
_PAUSE_SECONDS: Final = 0.3  # a longer gap between two frames is a pause on the time line too, not a late frame
_LOSS_FOR_FEC: Final = 1.0  # [%] below it, forward error correction costs more than it saves
_MAX_LOSS: Final = 25  # [%] that the encoder is told; it spends half its bits on copies by then
_RISE, _FALL = 0.5, 0.1  # loss is believed quickly and forgotten slowly


class Sender:
    """Encodes and numbers. In the media thread only. ``transmit`` takes a packet and says whether it went out."""

    def __init__(self, ssrc: int, transmit: Callable[[bytes], bool], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self.octets = 0  # of payload
        self.faults = 0  # frames that the encoder refused
        self._transmit = transmit
        self._clock = clock
        self._encoder: Encoder | None = None
        self._payload_type = 0
        self._fec_allowed = False
        self._loss = 0.0
        self._sequence = secrets.randbits(15)  # the lower half: the first wrap comes late (RFC 3711 3.3.1)
        self._timestamp = secrets.randbits(32)
        self._sent_at: float | None = None

    def start(self, payload_type: int, *, fec: bool, max_bitrate: int | None) -> None:
        """The peer can hear us from now on. ``fec``: it makes use of forward error correction. Raises MediaError without libopus."""
        self._payload_type = payload_type
        self._fec_allowed = fec
        self._encoder = Encoder(bitrate=min(BITRATE, max_bitrate or BITRATE))

    def stop(self) -> None:
        """Send nothing more."""
        self._encoder = None

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms; nothing happens before ``start``.

        The marker bit is set after a pause only: without silence suppression it is zero (RFC 3551 4.1).
        """
        if self._encoder is None:
            return
        now = self._clock()
        paused = self._pass_time(now)
        try:
            payload = self._encoder.encode(frame)
        except MediaError:
            self.faults += 1
            return
        packet = Packet(self._payload_type, self._sequence, self._timestamp, self.ssrc, payload, paused)
        if self._transmit(encode_packet(packet)):
            self._sequence = (self._sequence + 1) & 0xFFFF
            self.packets += 1
            self.octets += len(payload)

    def adapt(self, block: ReportBlock) -> None:
        """Take the peer's report of what it lost: forward error correction while there is loss."""
        lost = block.fraction_lost / 2.56
        self._loss += (_RISE if lost > self._loss else _FALL) * (lost - self._loss)
        if self._encoder is not None and self._fec_allowed:
            wanted = self._loss > _LOSS_FOR_FEC
            self._encoder.set_fec(wanted)
            self._encoder.set_loss(min(_MAX_LOSS, max(5, round(self._loss * 1.2))) if wanted else 0)

    def report(self, now_epoch: float) -> SenderInfo | None:
        """What a sender report says now; ``None`` before the first packet."""
        if self._sent_at is None or not self.packets:
            return None
        elapsed = round((self._clock() - self._sent_at) * RATE)
        return SenderInfo(ntp_time(now_epoch), (self._timestamp + elapsed) & 0xFFFFFFFF, self.packets, self.octets)

    def _pass_time(self, now: float) -> bool:
        """Move the time stamp to the next frame; whether there was a pause before it."""
        gap = 0.0 if self._sent_at is None else now - self._sent_at
        frames = round(gap / FRAME_SECONDS) if gap > _PAUSE_SECONDS else 1
        self._timestamp = (self._timestamp + frames * FRAME_SAMPLES) & 0xFFFFFFFF
        self._sent_at = now
        return gap > _PAUSE_SECONDS
