"""What a relay reads from session descriptions and changes in them, line by line; all else stays as it came (RFC 8866).

Only the first section of sound that isn't refused counts: a call has one.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final

from sinchphone.errors import MediaError
from sinchphone.protocol.jsep import MAX_SDP_BYTES

_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
_MIRRORED: Final = {"sendonly": "recvonly", "recvonly": "sendonly"}
_STATIC: Final = {"0": "PCMU", "8": "PCMA", "9": "G722"}  # RFC 3551 6
_NAMES: Final = {"opus": "opus", "pcmu": "PCMU", "pcma": "PCMA", "g722": "G722"}


def codecs(sdp: str) -> tuple[str, ...]:
    """The codecs of the sound in their order, as this house spells them, once each; others are left out, telephone-events too."""
    names = (_NAMES.get(name) for name in _formats(sdp))
    return tuple(dict.fromkeys(name for name in names if name is not None))


def takes_events(sdp: str) -> bool:
    """Whether the author takes digits as telephone-events (RFC 4733)."""
    return "telephone-event" in _formats(sdp)


def ice_fragment(sdp: str) -> str | None:
    """The user name fragment of the author's ICE: another one restarts it (RFC 8839 4.4.1.1.1). ``None`` without ICE."""
    return next((line.partition(":")[2] for line in _lines(sdp) if line.startswith("a=ice-ufrag:")), None)


def direction(sdp: str) -> str:
    """Which way the sound goes, as the author of the description sees it (RFC 3264 5.1).

    A connection address of zero is the old way to say that it wants to hear nothing (RFC 3264 8.4).
    """
    lines = _lines(sdp)
    start, end = _sound(lines)
    own = [line[2:] for line in lines[start:end] if line[2:] in _DIRECTIONS]
    general = [line[2:] for line in lines[: _head(lines)] if line[2:] in _DIRECTIONS]
    said = (own or general or ["sendrecv"])[0]
    address = next((line for line in (*lines[start:end], *lines[: _head(lines)]) if line.startswith("c=")), "")
    if address.split()[-1:] == ["0.0.0.0"] and not any(line.startswith("a=ice-ufrag:") for line in lines):  # noqa: S104  no socket
        return {"sendrecv": "sendonly", "recvonly": "inactive"}.get(said, said)
    return said


def mirrored(way: str) -> str:
    """The same direction from the other end."""
    return _MIRRORED.get(way, way)


def with_direction(sdp: str, way: str) -> str:
    """The description with that direction for its sound."""

    def change(section: list[str]) -> list[str]:
        return [*(line for line in section if line[2:] not in _DIRECTIONS), f"a={way}"]

    return _with_sound(sdp, change)


def with_candidates(sdp: str, candidates: Iterable[str], *, complete: bool = True) -> str:
    """The description with candidates (RFC 8839 5.1) added to its sound, and their end where they are ``complete``."""
    added = [f"a={each}" for each in candidates] + ["a=end-of-candidates"] * complete
    return _with_sound(sdp, lambda section: [*section, *added])


def anonymous(sdp: str) -> str:
    """The description without what names its author: user name, titles, addresses to write to (RFC 8866 5.2 to 5.6)."""
    kept = [line for line in _lines(sdp) if not line.startswith(("i=", "u=", "e=", "p="))]
    return "".join(f"{_unnamed(line)}\r\n" for line in kept)


def agreed(offer: str, answer: str) -> str:
    """The offer as if its author had answered: with the formats and the DTLS role (RFC 8842 5) that ``answer`` left to it."""
    theirs = _lines(answer)
    start, end = _sound(theirs)
    formats = theirs[start].split()[3:]
    setup = next((line[8:] for line in theirs[start:end] if line.startswith("a=setup:")), None)
    role = {"active": "passive", "passive": "active"}.get(setup or "")

    def change(section: list[str]) -> list[str]:
        words = section[0].split()
        kept = [" ".join(words[:3] + [each for each in formats if each in words[3:]]), *section[1:]]
        return kept if role is None else [f"a=setup:{role}" if line.startswith("a=setup:") else line for line in kept]

    return _with_sound(offer, change)


def _unnamed(line: str) -> str:
    if line.startswith("o="):
        return f"o=- {line.partition(' ')[2]}"
    return "s=-" if line.startswith("s=") else line


def _formats(sdp: str) -> list[str]:
    """The names of all formats of the sound in their order, in lower case; empty for an unknown one."""
    lines = _lines(sdp)
    start, end = _sound(lines)
    named = dict(_STATIC)
    for line in lines[start:end]:
        if line.startswith("a=rtpmap:"):
            number, _, encoding = line[9:].partition(" ")
            named[number] = encoding.strip().partition("/")[0]
    return [named.get(number, "").lower() for number in lines[start].split()[3:]]


def _lines(sdp: str) -> list[str]:
    if len(sdp) > MAX_SDP_BYTES:
        raise MediaError("the session description is too long")
    return [line.strip() for line in sdp.splitlines() if line.strip()]


def _head(lines: list[str]) -> int:
    """Where the first section begins."""
    return next((index for index, line in enumerate(lines) if line.startswith("m=")), len(lines))


def _sound(lines: list[str]) -> tuple[int, int]:
    """First line of the section of sound and the line after its last. Raises MediaError where there is none."""
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    for start, end in pairwise([*starts, len(lines)]):
        words = lines[start].split()
        if words[0] == "m=audio" and len(words) > 3 and words[1] != "0":
            return start, end
    raise MediaError("the session description has no sound")


def _with_sound(sdp: str, change: Callable[[list[str]], list[str]]) -> str:
    lines = _lines(sdp)
    start, end = _sound(lines)
    return "".join(f"{line}\r\n" for line in (*lines[:start], *change(lines[start:end]), *lines[end:]))
