"""What a relay reads from session descriptions and changes in them; all else stays as it came (RFC 8866).

Only the first section of sound that isn't refused counts: a call has one.
"""

from collections.abc import Callable, Iterable
from typing import Final

from sinchphone.errors import MediaError, RemoteProtocolError
from sinchphone.protocol.sdp.session_description import (
    DIRECTIONS,
    NO_ADDRESS,
    TELEPHONE_EVENT,
    Block,
    attribute,
    attributes_of,
    connection_host,
    read_blocks,
    read_packet_times,
    write_blocks,
)

_STATIC: Final = {"0": "PCMU", "8": "PCMA", "9": "G722"}  # RFC 3551 6
_NAMES: Final = {"opus": "opus", "pcmu": "PCMU", "pcma": "PCMA", "g722": "G722"}
_OF_THE_AUTHOR: Final = ("i", "u", "e", "p")  # titles, and addresses to write to (RFC 8866 5.4 to 5.6)


def codecs(sdp: str) -> tuple[str, ...]:
    """The codecs of the sound in their order, as this program spells them, once each; others are left out, telephone-events too."""
    names = (_NAMES.get(name) for name in _formats(sdp))
    return tuple(dict.fromkeys(name for name in names if name is not None))


def check_answer(offer: str, answer: str) -> None:
    """Raises MediaError where an answer to that offer takes no sound of it, or takes it over another profile."""
    taken = set(_formats(answer)) - {"", TELEPHONE_EVENT}
    if taken.isdisjoint(_formats(offer)):
        raise MediaError("the answer has no encoding of the offer")
    if _is_secure(offer) != _is_secure(answer):
        raise MediaError("the answer changes the profile of the offer")


def check_offer(sdp: str, *, secure: bool) -> None:
    """Raises MediaError where a later offer over RTP isn't as ``secure`` as what was agreed before."""
    if _is_secure(sdp) != secure:
        raise MediaError("the offer changes the profile of the call")
    if secure and not any(name == "crypto" for name, _ in attributes_of(_sound_section(sdp))):
        raise MediaError("the offer has no key for its sound")


def encodings(sdp: str) -> tuple[str, ...]:
    """The lines that say what the payloads of the sound are, and their keys: where they are the same, only its address, its direction or
    the length of its packets may be others."""
    section = _sound_section(sdp)
    mapped = (f"{name}:{value}" for name, value in attributes_of(section) if name in ("rtpmap", "fmtp", "crypto"))
    return (*section[0][1].split()[2:], *sorted(mapped))


def check_address(sdp: str) -> None:
    """Raises MediaError where the sound has no address (RFC 8866 5.7)."""
    blocks = _read(sdp)
    if not (connection_host(blocks[_sound(blocks)]) or connection_host(blocks[0])):
        raise MediaError(NO_ADDRESS)


def with_formats_of(sdp: str, other: str) -> str:
    """The description with those formats of the sound only that the other one has too, in its order, whatever their numbers. Raises
    MediaError where they have no codec in common."""
    numbers = _numbers(sdp)
    common = [encoding for encoding in _numbers(other) if encoding in numbers]
    if all(encoding.startswith(TELEPHONE_EVENT) for encoding in common):
        raise MediaError("the new offer has none of the codecs of the call")

    def change(section: Block) -> Block:
        return [("m", " ".join([*section[0][1].split()[:3], *(numbers[encoding] for encoding in common)])), *section[1:]]

    return _with_sound(sdp, change)


def with_key_for(sdp: str, other: str) -> str:
    """The description with one key for its sound (RFC 4568 5.1): for the first suite of the other one that both have, under its tag there;
    as it is where the other one has none. Raises MediaError where they have no suite in common."""
    own = {line.split()[1]: line for line in _keys(sdp)}
    theirs = [line.split() for line in _keys(other)]
    if not theirs:
        return sdp
    tag, suite = next(((words[0], words[1]) for words in theirs if words[1] in own), ("", ""))
    if not suite:
        raise MediaError("the new offer has no key that the call can use")
    key = f"crypto:{tag} {own[suite].partition(' ')[2]}"

    def change(section: Block) -> Block:
        return [*(line for line in section if (attribute(line) or ("",))[0] != "crypto"), ("a", key)]

    return _with_sound(sdp, change)


def key(sdp: str) -> str | None:
    """The first key for its sound, with its suite (RFC 4568 9.1); ``None`` where there is none."""
    return next((line.partition(" ")[2] for line in _keys(sdp)), None)


def with_keys_of(sdp: str, other: str) -> str:
    """The description with the keys for the sound that the other one has, in place of its own."""
    theirs: Block = [("a", f"crypto:{each}") for each in _keys(other)]

    def change(section: Block) -> Block:
        return [*(line for line in section if (attribute(line) or ("",))[0] != "crypto"), *theirs]

    return _with_sound(sdp, change)


def takes_events(sdp: str) -> bool:
    """Whether the author takes digits as telephone-events (RFC 4733)."""
    return TELEPHONE_EVENT in _formats(sdp)


def ice_fragment(sdp: str) -> str | None:
    """The user name fragment of the author's ICE: another one restarts it (RFC 8839 4.4.1.1.1). ``None`` without ICE."""
    return next((value for block in _read(sdp) for name, value in attributes_of(block) if name == "ice-ufrag"), None)


def direction(sdp: str) -> str:
    """Which way the sound goes, as the author of the description sees it (RFC 3264 5.1).

    A connection address of zero is the old way to say that it wants to hear nothing (RFC 3264 8.4).
    """
    blocks = _read(sdp)
    levels = blocks[_sound(blocks)], blocks[0]
    said = next((name for block in levels for name, _ in attributes_of(block) if name in DIRECTIONS), "sendrecv")
    address = next((value for block in levels for key, value in block if key == "c"), "")
    if address.split()[-1:] == ["0.0.0.0"] and ice_fragment(sdp) is None:  # noqa: S104  no socket
        return {"sendrecv": "sendonly", "recvonly": "inactive"}.get(said, said)
    return said


def with_direction(sdp: str, way: str) -> str:
    """The description with that direction for its sound."""

    def change(section: Block) -> Block:
        return [*(line for line in section if line[1] not in DIRECTIONS), ("a", way)]

    return _with_sound(sdp, change)


def with_packet_times_of(sdp: str, other: str) -> str:
    """The description, with what the author of ``other`` says about the length of packets (RFC 8866 6.4): what one side wants is asked of
    the other."""
    blocks = _read(other)
    wanted = read_packet_times(attributes_of(blocks[_sound(blocks)])).attributes
    said = {name for name, _ in wanted}

    def change(section: Block) -> Block:
        kept = [line for line in section if (attribute(line) or ("",))[0] not in said]
        return [*kept, *(("a", f"{name}:{value}") for name, value in wanted)]

    return _with_sound(sdp, change)


def with_candidates(sdp: str, candidates: Iterable[str], *, complete: bool = True) -> str:
    """The description with candidates (RFC 8839 5.1) added to the section that has the ICE of its sound, and their end where they are
    ``complete``."""
    blocks = _read(sdp)
    number = _sound(blocks)
    with_ice = [place for place, block in enumerate(blocks[1:], 1) if any(name == "ice-ufrag" for name, _ in attributes_of(block))]
    place = number if number in with_ice or not with_ice else with_ice[0]
    blocks[place] += [("a", each) for each in candidates] + [("a", "end-of-candidates")] * complete
    return write_blocks(blocks)


def anonymous(sdp: str) -> str:
    """The description without what names its author: user name, titles, addresses to write to (RFC 8866 5.2 to 5.6)."""
    return write_blocks([[(key, _unnamed(key, value)) for key, value in block if key not in _OF_THE_AUTHOR] for block in _read(sdp)])


def ice_lines(sdp: str) -> Block:
    """The section of sound and the credentials of its ICE: what a fragment with candidates begins with (RFC 8840 9)."""

    def belongs(key: str, value: str) -> bool:
        return value.startswith("audio") if key == "m" else value.startswith(("ice-ufrag:", "ice-pwd:", "mid:")) and key == "a"

    return [(key, value) for block in _read(sdp) for key, value in block if belongs(key, value)]


def agreed(offer: str, answer: str) -> str:
    """The offer as if its author had answered: with the formats, the key and the DTLS role (RFC 8842 5) that ``answer`` left to it."""
    theirs = _read(answer)
    taken = theirs[_sound(theirs)]
    formats = taken[0][1].split()[3:]
    setup = next((value for name, value in attributes_of(taken) if name == "setup"), None)
    role = {"active": "passive", "passive": "active"}.get(setup or "")

    def change(section: Block) -> Block:
        words = section[0][1].split()
        kept: Block = [("m", " ".join(words[:3] + [each for each in formats if each in words[3:]])), *section[1:]]
        return kept if role is None else [("a", f"setup:{role}") if (attribute(line) or ("",))[0] == "setup" else line for line in kept]

    return with_key_for(_with_sound(offer, change), answer)


def _unnamed(key: str, value: str) -> str:
    return f"- {value.partition(' ')[2]}" if key == "o" else "-" if key == "s" else value


def _formats(sdp: str) -> list[str]:
    """The names of all formats of the sound in their order, in lower case; empty for an unknown one."""
    return [encoding.partition("/")[0] for _, encoding in _mapped(sdp)]


def _numbers(sdp: str) -> dict[str, str]:
    """The numbers of the sound's formats in their order, by encoding and rate; the first one of each."""
    first: dict[str, str] = {}
    for number, encoding in _mapped(sdp):
        if encoding:
            first.setdefault(encoding, number)
    return first


def _keys(sdp: str) -> list[str]:
    """What the lines of keys for the sound say: a tag, a suite, and more."""
    return [value for name, value in attributes_of(_sound_section(sdp)) if name == "crypto" and len(value.split()) > 2]


def _mapped(sdp: str) -> list[tuple[str, str]]:
    """All formats of the sound in their order: numbers, and their encodings in lower case; an empty one where it's unknown."""
    section = _sound_section(sdp)
    named = {number: f"{name}/8000" for number, name in _STATIC.items()}
    for name, value in attributes_of(section):
        if name == "rtpmap":
            number, _, encoding = value.partition(" ")
            named[number] = encoding.strip().removesuffix("/1")
    return [(number, named.get(number, "").lower()) for number in section[0][1].split()[3:]]


def _read(sdp: str) -> list[Block]:
    try:
        return read_blocks(sdp)
    except RemoteProtocolError as error:
        raise MediaError(str(error)) from error


def _is_secure(sdp: str) -> bool:
    return "SAVP" in _sound_section(sdp)[0][1].split()[2].upper()


def _sound_section(sdp: str) -> Block:
    blocks = _read(sdp)
    return blocks[_sound(blocks)]


def _sound(blocks: list[Block]) -> int:
    """Which block is the section of sound. Raises MediaError where there is none."""
    for number, block in enumerate(blocks[1:], start=1):
        words = block[0][1].split()
        if words[:1] == ["audio"] and len(words) > 3 and (words[1] != "0" or ("bundle-only", "") in attributes_of(block)):
            return number
    raise MediaError("the session description has no sound")


def _with_sound(sdp: str, change: Callable[[Block], Block]) -> str:
    blocks = _read(sdp)
    number = _sound(blocks)
    return write_blocks([*blocks[:number], change(blocks[number]), *blocks[number + 1 :]])
