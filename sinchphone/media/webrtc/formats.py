"""Payload types in a description: what the peer's stand for, which codec is taken, and the attributes that say ours."""

import re
from collections.abc import Sequence
from typing import Final

from sinchphone.errors import MediaError
from sinchphone.media.agreement import Agreement, EventFormat, OpusWishes, RepairTerms
from sinchphone.media.codecs.codec import CODECS, OPUS, CodecFormat, codec_of
from sinchphone.protocol.rtp.transport_feedback import EXTENSION_URI, MAX_EXTENSION_ID
from sinchphone.protocol.sdp.offer_answer import EVENT_PARAMETERS
from sinchphone.protocol.sdp.session_description import ANY_LENGTH, Attributes, PacketTimes, Section
from sinchphone.quick_dataclass import quick_dataclass

OUR_EVENTS: Final = {48_000: 110, 8_000: 126}  # clock rate to payload type, as browsers number them
OUR_RED: Final = 63  # the same
OUR_NUMBERING: Final = 3  # the same
NACK: Final = "nack"  # RFC 4585 4.2
TRANSPORT_CC: Final = "transport-cc"
_NUMBER: Final = re.compile(r"[0-9]{1,3}")
_EVENT: Final = re.compile(r"telephone-event/(8000|48000)(/1)?")
_RED: Final = "red/48000/2"  # of Opus, as browsers write it


@quick_dataclass(frozen=True, slots=True)
class OfferedCodec:
    """One codec that the peer takes, under its number for it."""

    payload_type: int
    codec: CodecFormat
    parameters: str = ""  # of its fmtp line


@quick_dataclass(frozen=True, slots=True)
class Redundancy:
    """Packets that carry copies of those before them (RFC 2198)."""

    payload_type: int
    of: frozenset[str]  # the payload types that are repeated; empty where that isn't said


@quick_dataclass(frozen=True, slots=True)
class Formats:
    """What a peer takes, most wanted first."""

    sounds: tuple[OfferedCodec, ...]
    events: tuple[EventFormat, ...]
    reds: tuple[Redundancy, ...] = ()
    nacks: frozenset[str] = frozenset()  # payload types whose packets may be asked for, "*" for all
    packet_times: PacketTimes = ANY_LENGTH
    numbered: frozenset[str] = frozenset()  # those whose arrival is told by number, in the same way,
    numbering: int | None = None  # and the header extension that has it


@quick_dataclass(frozen=True, slots=True)
class WrittenFormats:
    """What a section of ours says about its formats: the numbers of its ``m=`` line, and its attributes."""

    payloads: tuple[str, ...]
    attributes: Attributes


def read_formats(section: Section, *, feedback: bool) -> Formats:
    """A section's formats, by its ``m=`` line and what ``a=rtpmap``, ``a=fmtp``, ``a=extmap`` and ``a=ptime`` say, and ``a=rtcp-fb`` where
    there is a way for ``feedback``."""
    encodings = {number: encoding.strip() for number, _, encoding in (line.partition(" ") for line in reversed(section.all("rtpmap")))}
    parameters = {number: rest for number, _, rest in (line.partition(" ") for line in reversed(section.all("fmtp")))}
    sounds, events, reds = [], [], []
    for number in dict.fromkeys(section.payloads):
        if not _NUMBER.fullmatch(number) or int(number) > 127:
            continue
        encoding = encodings.get(number)
        event = _EVENT.fullmatch((encoding or "").lower())
        codec = codec_of(int(number), encoding)
        if event is not None:
            events.append(EventFormat(int(number), int(event[1])))
        elif (encoding or "").lower() == _RED:
            reds.append(Redundancy(int(number), frozenset(filter(None, parameters.get(number, "").strip().split("/")))))
        elif codec is not None:
            sounds.append(OfferedCodec(int(number), codec, parameters.get(number, "")))
    return Formats(
        tuple(sounds),
        tuple(events),
        tuple(reds),
        nacks=fed_back(section, NACK) if feedback else frozenset(),
        numbered=fed_back(section, TRANSPORT_CC) if feedback else frozenset(),
        numbering=numbering_of(section),
        packet_times=section.packet_times,
    )


def fed_back(section: Section, what: str) -> frozenset[str]:
    """The payload types with that kind of feedback (RFC 4585 4.2)."""
    lines = (line.partition(" ") for line in section.all("rtcp-fb"))
    return frozenset(number for number, _, kind in lines if kind.strip() == what)


def numbering_of(section: Section) -> int | None:
    """The header extension of packets' numbers, where it goes both ways and fits a header of one byte (RFC 8285 5, 4.2)."""
    for line in section.all("extmap"):
        identifier, _, rest = line.strip().partition(" ")
        if rest.split()[:1] == [EXTENSION_URI] and _NUMBER.fullmatch(identifier.removesuffix("/sendrecv")):
            number = int(identifier.removesuffix("/sendrecv"))
            return number if 1 <= number <= MAX_EXTENSION_ID else None
    return None


def choose(formats: Formats, codecs: Sequence[str], prefer: str | None = None) -> OfferedCodec:
    """The first that is among ``codecs``, or ``prefer`` where it's both sides'. Raises MediaError where there is none."""
    common = [sound for sound in formats.sounds if sound.codec.name in codecs]
    for sound in common:
        if sound.codec.name == prefer:
            return sound
    if not common:
        names = " or ".join("Opus" if name == "opus" else name for name in codecs)
        raise MediaError(f"the peer doesn't speak {names}", hint="both sides need a codec in common")
    return common[0]


def event_for(codec: CodecFormat, formats: Formats) -> EventFormat | None:
    """The telephone-events to send with a codec: of the same clock rate, else of any (some peers offer 8000 whatever the codec)."""
    same = [event for event in formats.events if event.clock_rate == codec.clock_rate]
    return next(iter(same or formats.events), None)


def red_for(sound: OfferedCodec, formats: Formats) -> int | None:
    """The payload type of copies of ``sound``: of Opus only, which needs the same clock rate."""
    if sound.codec != OPUS:
        return None
    return next((red.payload_type for red in formats.reds if red.of <= {str(sound.payload_type)}), None)


def may_ask(sound: OfferedCodec, formats: Formats) -> bool:
    """Whether packets of ``sound`` that got lost may be asked for (RFC 4585 4.2)."""
    return sound.codec == OPUS and not formats.nacks.isdisjoint(("*", str(sound.payload_type)))


def numbering_for(sound: OfferedCodec, formats: Formats) -> int | None:
    """The header extension under which packets of ``sound`` are numbered: only Opus can make use of what is told of them."""
    told = sound.codec == OPUS and not formats.numbered.isdisjoint(("*", str(sound.payload_type)))
    return formats.numbering if told else None


def agree(sound: OfferedCodec, formats: Formats, offered: Sequence[str] = ()) -> Agreement:
    """What is agreed on where ``sound`` is taken. ``offered``: the codecs of our offer, whose numbers may come then."""
    event = event_for(sound.codec, formats)
    receives = {sound.payload_type: sound.codec}  # some send with their own number for what we numbered otherwise
    events = {} if event is None else {event.payload_type: event.clock_rate}
    for name in offered:
        receives[CODECS[name].payload_type] = CODECS[name]
        events[OUR_EVENTS[CODECS[name].clock_rate]] = CODECS[name].clock_rate
    red = red_for(sound, formats)
    reds = {number for number in (red, OUR_RED if OPUS.name in offered else None) if number is not None}
    repair = RepairTerms(red, frozenset(reds), may_ask(sound, formats))
    return Agreement(
        sound.codec,
        sound.payload_type,
        receives,
        event,
        events,
        OpusWishes.read(sound.parameters),
        repair,
        packet_times=formats.packet_times,
        numbering=numbering_for(sound, formats),
    )


def offered_formats(codecs: Sequence[str]) -> WrittenFormats:
    """The formats of our offer."""
    sounds = [OfferedCodec(CODECS[name].payload_type, CODECS[name]) for name in codecs]
    rates = sorted({sound.codec.clock_rate for sound in sounds}, reverse=True)
    events = [EventFormat(OUR_EVENTS[rate], rate) for rate in rates]
    red, numbering = (OUR_RED, OUR_NUMBERING) if OPUS.name in codecs else (None, None)
    return _written(sounds, events, red, numbering, nack=True)


def answered_formats(sound: OfferedCodec, formats: Formats) -> WrittenFormats:
    """Those of our answer to an offer of ``formats``, which takes one codec."""
    event = event_for(sound.codec, formats)
    numbering = numbering_for(sound, formats)
    return _written([sound], [] if event is None else [event], red_for(sound, formats), numbering, nack=may_ask(sound, formats))


def _written(
    sounds: Sequence[OfferedCodec], events: Sequence[EventFormat], red: int | None, numbering: int | None, *, nack: bool
) -> WrittenFormats:
    attributes = [] if numbering is None else [("extmap", f"{numbering} {EXTENSION_URI}")]
    for sound in sounds:
        number, codec = sound.payload_type, sound.codec
        attributes.append(("rtpmap", f"{number} {codec.encoding}"))
        attributes += [("fmtp", f"{number} {codec.parameters}")] if codec.parameters else []
        if codec == OPUS:
            attributes += [("rtcp-fb", f"{number} {NACK}")] if nack else []
            attributes += [] if numbering is None else [("rtcp-fb", f"{number} {TRANSPORT_CC}")]
            attributes += [] if red is None else [("rtpmap", f"{red} {_RED}"), ("fmtp", f"{red} {number}/{number}")]
    for event in events:
        number = event.payload_type
        attributes += [("rtpmap", f"{number} telephone-event/{event.clock_rate}"), ("fmtp", f"{number} {EVENT_PARAMETERS}")]
    numbers = [*(sound.payload_type for sound in sounds), *([] if red is None else [red]), *(event.payload_type for event in events)]
    return WrittenFormats(tuple(map(str, numbers)), tuple(attributes))
