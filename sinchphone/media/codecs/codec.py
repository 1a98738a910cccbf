"""The codecs of a leg: one table of what they are called and how they count, and what an encoder and a decoder do."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class CodecFormat:
    """One codec, as descriptions name it and RTP counts it."""

    name: str
    clock_rate: int  # [Hz] of RTP time stamps
    payload_type: int  # static (RFC 3551 table 4), or the one that we offer
    channels: int = 1  # as the rtpmap says, whatever is in the stream
    parameters: str = ""  # of our fmtp line

    @property
    def encoding(self) -> str:
        """What an rtpmap says: ``PCMU/8000``, ``opus/48000/2``."""
        return f"{self.name}/{self.clock_rate}" + (f"/{self.channels}" if self.channels > 1 else "")

    @property
    def samples_per_tick(self) -> int:
        """Samples at 48 kHz in one tick of the RTP clock."""
        return RATE // self.clock_rate


OPUS: Final = CodecFormat("opus", 48_000, 111, 2, "minptime=10;useinbandfec=1")  # RFC 7587 7; we decode FEC, please send it
PCMU: Final = CodecFormat("PCMU", 8_000, 0)
PCMA: Final = CodecFormat("PCMA", 8_000, 8)
G722: Final = CodecFormat("G722", 8_000, 9)  # samples 16 000 times a second and says 8000, an error kept for ever (RFC 3551 4.5.2)

CODECS: Final[Mapping[str, CodecFormat]] = MappingProxyType({codec.name: codec for codec in (OPUS, PCMU, PCMA, G722)})
_BY_ENCODING: Final = {codec.encoding.lower(): codec for codec in CODECS.values()}
_STATIC: Final = {codec.payload_type: codec for codec in (PCMU, PCMA, G722)}


def codec_of(payload_type: int, encoding: str | None) -> CodecFormat | None:
    """The codec that an ``rtpmap`` names (in any case, a channel count of 1 left out or not), or a static payload type without one."""
    if encoding is None:
        return _STATIC.get(payload_type)
    plain = encoding.strip().lower()
    return _BY_ENCODING.get(plain.removesuffix("/1"))


@quick_dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A packet of sound on its way through, as it came off the network; nobody looked into ``payload``."""

    codec: CodecFormat
    payload: bytes
    timestamp: int  # [ticks of the codec's clock], 32 bits
    sequence: int  # 16 bits; gaps are lost packets (digits and comfort noise that came in between are left out)
    marker: bool = False


@quick_dataclass(frozen=True, slots=True)
class DecodedFrame:
    """What a packet of sound held, on its way into another codec."""

    sound: Samples
    at: int  # of its first sample, on a line that never wraps [samples at 48 kHz]
    marker: bool = False


class Encoder(Protocol):
    """One codec's sending half. One thread at a time."""

    def encode(self, frame: Samples) -> bytes:
        """The payload for what a packet holds: 5, 10, 20, 40 or 60 ms, else any other multiple of 5 too. Raises MediaError."""

    def adapt(self, setting: RedundancySetting) -> None:
        """From the next frame on spend so many bits, and on what, as far as the codec has a choice. Raises MediaError."""


class Decoder(Protocol):
    """One codec's receiving half. ``duration``, ``recoverable`` and ``is_background`` keep no state: they are called in the network thread
    while the others work."""

    def duration(self, payload: bytes) -> int:
        """Samples at 48 kHz in a packet; 0 where it isn't one."""

    def recoverable(self, payload: bytes) -> int:
        """Samples before the packet that ``recover`` can rebuild from it; 0 where it carries no copy."""

    def is_background(self, payload: bytes) -> bool:
        """Whether the sender's encoder says that nobody speaks in the packet; ``False`` where the codec doesn't tell."""

    def decode(self, payload: bytes) -> Samples:
        """The packet's sound. Raises MediaError."""

    def conceal(self, samples: int) -> Samples:
        """``samples`` (at most a packet's) that carry on the sound before them. Raises MediaError."""

    def recover(self, payload: bytes, samples: int) -> Samples:
        """The last ``samples`` before the packet, from the copy in it. Raises MediaError."""

    def note(self) -> bool:
        """Remember the state of now, before sound is made up in place of a packet that may still come; whether the codec can do that."""

    def go_back(self) -> None:
        """To the state that was noted last, as if nothing had been decoded or made up since."""
