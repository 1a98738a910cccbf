"""What two ends have agreed on for their sound and their pictures, whatever kind of description said so."""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from sinchphone.media.codecs.codec import CodecFormat
from sinchphone.protocol.sdp.session_description import ANY_LENGTH, PacketTimes
from sinchphone.quick_dataclass import quick_dataclass

COMFORT_NOISE: Final = 13  # RFC 3389, static for 8000 Hz; some phones send it without having offered it
_BITRATE: Final = re.compile(r"[0-9]{4,6}")


@quick_dataclass(frozen=True, slots=True)
class OpusWishes:
    """What a peer's decoder wants (RFC 7587 6.1)."""

    fec: bool  # it makes use of forward error correction
    max_bitrate: int | None  # [bit/s]
    dtx: bool = False  # nothing is to be sent while nobody speaks

    @classmethod
    def read(cls, parameters: str) -> "OpusWishes":
        """From the parameters of an ``a=fmtp`` line; a rate that Opus can't have is none."""
        pairs = (part.strip().partition("=") for part in parameters.split(";"))
        values = {name.lower(): value for name, _, value in pairs}
        text = values.get("maxaveragebitrate", "")
        rate = int(text) if _BITRATE.fullmatch(text) else 0
        return cls(values.get("useinbandfec") == "1", rate if 6_000 <= rate <= 510_000 else None, values.get("usedtx") == "1")


@quick_dataclass(frozen=True, slots=True)
class EventFormat:
    """Digits as telephone-events (RFC 4733)."""

    payload_type: int
    clock_rate: int  # [Hz] of their durations


@quick_dataclass(frozen=True, slots=True)
class RepairTerms:
    """How lost packets are made up for, beyond what the codec itself can do."""

    red: int | None = None  # the payload type under which the peer takes copies (RFC 2198)
    reds: frozenset[int] = frozenset()  # that they may come under
    nack: bool = False  # either side may ask for what it misses (RFC 4585 6.2.1)


@quick_dataclass(frozen=True, slots=True)
class Agreement:
    """Payload types are per direction: the peer's in what we send, ours in what comes."""

    codec: CodecFormat  # that we send
    payload_type: int
    receives: Mapping[int, CodecFormat]
    event: EventFormat | None = None  # that we may send
    events: Mapping[int, int] = field(default_factory=dict)  # that may come: payload type to clock rate
    opus: OpusWishes = OpusWishes(fec=False, max_bitrate=None)
    repair: RepairTerms = RepairTerms()
    packet_times: PacketTimes = ANY_LENGTH  # that the peer wants
    numbering: int | None = None  # the header extension of packets' numbers, whose arrival is told (draft-holmer-rmcat-transport-wide-cc)


@quick_dataclass(frozen=True, slots=True)
class PictureAgreement:
    """The codec of pictures (a name of ``VIDEO_CODECS``) and its payload types: the peer's in what we send, and those that may come."""

    codec: str
    payload_type: int
    receives: frozenset[int]
    sends: bool  # the peer wants to see us
    nack: bool = False  # either side may ask for what it misses (RFC 4585 6.2.1)
    numbering: int | None = None  # as that of the sound
