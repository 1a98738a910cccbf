"""From a codec's name to the code that speaks it, and a decoder for streams in which the codec may change from packet to packet."""

import asyncio
import importlib
from collections.abc import Iterable, Mapping
from contextlib import suppress

from sinchphone.audio.frame import Samples, silence
from sinchphone.errors import MediaError
from sinchphone.media.codecs import g711, opus
from sinchphone.media.codecs.codec import G722, OPUS, PCMA, PCMU, CodecFormat, Decoder, Encoder


def new_encoder(codec: CodecFormat) -> Encoder:
    """An encoder. Raises MediaError."""
    match codec.name:
        case OPUS.name:
            return opus.Encoder()
        case PCMU.name | PCMA.name:
            return g711.Encoder(codec.name)
        case G722.name:
            from sinchphone.media.codecs import g722  # it brings all of FFmpeg with it

            return g722.Encoder()
        case _:
            raise MediaError(f"there is no codec called {codec.name}")


def new_decoder(codec: CodecFormat) -> Decoder:
    """A decoder. Raises MediaError."""
    match codec.name:
        case OPUS.name:
            return opus.Decoder()
        case PCMU.name | PCMA.name:
            return g711.G711Decoder(codec.name)
        case G722.name:
            from sinchphone.media.codecs import g722

            return g722.G722Decoder()
        case _:
            raise MediaError(f"there is no codec called {codec.name}")


async def load_codecs(codecs: Iterable[CodecFormat]) -> None:
    """Import what these need, in a thread: FFmpeg takes longer than a frame lasts."""
    if any(codec == G722 for codec in codecs):
        await asyncio.to_thread(importlib.import_module, "sinchphone.media.codecs.g722")


class AnyDecoder:
    """Decodes what ``mark`` made of a payload and its payload type, each by the decoder of that type."""

    def __init__(self) -> None:
        self._codecs: Mapping[int, CodecFormat] = {}
        self._by_type: dict[int, Decoder] = {}  # those that were asked for
        self._decoders: dict[str, Decoder] = {}
        self._last: Decoder | None = None
        self._noted: Decoder | None = None

    def expect(self, codecs: Mapping[int, CodecFormat]) -> None:
        """The codecs that may come, by their payload types. Types of before keep their meaning until they get another one."""
        self._codecs = {**self._codecs, **codecs}
        self._by_type = {}

    def load(self, codecs: Iterable[CodecFormat]) -> None:
        """Make the decoders of these now, since the first one of a codec may take a while. Raises MediaError."""
        for codec in codecs:
            if codec.name not in self._decoders:
                self._decoders.setdefault(codec.name, new_decoder(codec))

    def duration(self, payload: bytes) -> int:
        """Samples in a packet; 0 where it isn't one."""
        decoder = self._decoder(payload)
        return decoder.duration(payload[1:]) if decoder is not None else 0

    def recoverable(self, payload: bytes) -> int:
        """Samples before the packet that ``recover`` can rebuild from it."""
        decoder = self._decoder(payload)
        return decoder.recoverable(payload[1:]) if decoder is not None else 0

    def is_background(self, payload: bytes) -> bool:
        """Whether the sender's encoder says that nobody speaks in the packet."""
        decoder = self._decoder(payload)
        return decoder is not None and decoder.is_background(payload[1:])

    def decode(self, payload: bytes) -> Samples:
        """The packet's sound. Raises MediaError."""
        decoder = self._decoder(payload)
        if decoder is None:
            raise MediaError("a packet's codec is not known")
        self._last = decoder
        return decoder.decode(payload[1:])

    def conceal(self, samples: int) -> Samples:
        """``samples`` that carry on the sound before them, as its codec does it. Raises MediaError."""
        return silence(samples) if self._last is None else self._last.conceal(samples)

    def recover(self, payload: bytes, samples: int) -> Samples:
        """The last ``samples`` before the packet. Raises MediaError."""
        decoder = self._decoder(payload)
        return self.conceal(samples) if decoder is None or decoder is not self._last else decoder.recover(payload[1:], samples)

    def note(self) -> bool:
        """Remember the state of the last one used; whether its codec can do that."""
        self._noted = self._last if self._last is not None and self._last.note() else None
        return self._noted is not None

    def go_back(self) -> None:
        """To the state that was noted last."""
        if self._noted is not None:
            self._noted.go_back()

    def _decoder(self, payload: bytes) -> Decoder | None:
        if not payload:
            return None
        by_type = self._by_type  # of now: ``expect`` makes another one, in the network thread
        found = by_type.get(payload[0])
        return self._find(payload[0], by_type) if found is None else found

    def _find(self, payload_type: int, by_type: dict[int, Decoder]) -> Decoder | None:
        codec = self._codecs.get(payload_type)
        if codec is None:
            return None
        found = self._decoders.get(codec.name)
        if found is None:
            with suppress(MediaError):  # the network thread asks too, and a packet must not stop it
                found = self._decoders.setdefault(codec.name, new_decoder(codec))
        if found is not None:
            by_type[payload_type] = found
        return found


def mark(payload_type: int, payload: bytes) -> bytes:
    """What ``AnyDecoder`` takes."""
    return bytes((payload_type,)) + payload
