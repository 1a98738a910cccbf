"""What a terminal sends, told apart: keys that a person pressed, text that was pasted, and everything else, which is no key.

Besides keys a terminal sends function keys, mouse and focus reports, and answers to questions that some program asked it (colours,
versions, cursor positions). All of them are control functions of ECMA-48 (5th edition), 7-bit or 8-bit::

    ESC Fe, C1                 -> CSI, SS2, SS3 or a string below; others are complete                    5.3
    ESC nF...                  -> intermediates 2/0-2/15, then a final 3/0-7/14                           ECMA-35 13.2
    ESC x                      -> Alt and a key
    CSI P...P I...I F          -> parameters 3/0-3/15, intermediates 2/0-2/15, final 4/0-7/14             5.4
    SS2 x, SS3 P...P F         -> one character; some terminals put parameters before SS3's
    DCS, SOS, OSC, PM, APC     -> a string up to ST (OSC: or BEL)                                         5.6
    CSI M x y b, CSI [ x       -> X10 mouse report of xterm, function key of the Linux console
    CSI 200 ~ ... CSI 201 ~    -> bracketed paste of xterm

CAN and SUB break any of them off, and ESC begins the next. A read may end anywhere, so the state is kept over reads. It is bounded:
nothing but pasted text is stored, of that at most ``MAX_PASTE``, and what is unfinished is given up after a silence or at the latest
after a time that is fixed for each kind, so that nobody who pressed Esc is left without keys. Only whoever has asked the terminal something
has its replies kept (``replies``), the beginning of each.
"""

import codecs
from enum import Enum, auto
from typing import Final, TypeAlias

from sinchphone.quick_dataclass import quick_dataclass

MAX_PASTE: Final = 4_096  # characters that are kept of one paste
_MAX_REPLY: Final = 256  # characters that are kept of a reply,
_MAX_REPLIES: Final = 32  # and replies
_MAX_PARAMETERS: Final = 8  # characters that are kept of a sequence's parameters: what we know of is shorter
_PASTE_END: Final = "\x1b[201~"
ESCAPE: Final = "\x1b"  # the key, which is one when nothing follows
_ESC: Final = ESCAPE
_BEL: Final = "\x07"
_ST: Final = "\x9c"
_ESCAPED: Final = 0xDC00  # where Python's "surrogateescape" puts a byte that can't be decoded
_NOTHING: Final = "\ufffd"
_BREAK_OFF: Final = "\x18\x1a"  # CAN, SUB


@quick_dataclass(frozen=True, slots=True)
class Paste:
    """Text that was pasted, not typed. ``dropped``: how many characters more there were."""

    text: str
    dropped: int = 0


Press: TypeAlias = str | Paste
"""One key: a character, ``"\\n"`` for Enter, ``ESCAPE``. Or a paste."""


class _State(Enum):
    """Where in the grammar we are."""

    GROUND = auto()
    ESCAPE = auto()
    INTERMEDIATE = auto()
    CONTROL = auto()
    SINGLE_SHIFT = auto()
    REPORT = auto()  # characters that follow a final, in breach of the grammar
    STRING = auto()
    STRING_ESCAPE = auto()
    COMMAND = auto()  # OSC, which BEL ends too
    COMMAND_ESCAPE = auto()
    PASTE = auto()


_IN_STRING: Final = (_State.STRING, _State.STRING_ESCAPE, _State.COMMAND, _State.COMMAND_ESCAPE)


def _limits(state: _State) -> tuple[float, float]:
    """The longest silence amid what is unfinished, and the longest time from its beginning [s]."""
    if state in _IN_STRING:
        return 1.0, 10.0
    if state is _State.PASTE:
        return 3.0, 60.0  # what is left of a paste that was given up would be taken for keys
    return 0.5, 5.0  # readline waits as long; a reply that a network cut in two takes a retransmission


_FUNCTIONS: Final = {
    "N": _State.SINGLE_SHIFT,  # SS2
    "O": _State.SINGLE_SHIFT,  # SS3
    "P": _State.STRING,  # DCS
    "X": _State.STRING,  # SOS
    "[": _State.CONTROL,  # CSI
    "]": _State.COMMAND,  # OSC
    "^": _State.STRING,  # PM
    "_": _State.STRING,  # APC
}
_C1: Final = {chr(ord(final) + 0x40): state for final, state in _FUNCTIONS.items()}


class KeyParser:
    """Feed it what was read. Pure: ``now`` is a clock that never goes back, in seconds.

    What was read late may have come early, where the program was held up: so it is ``expire`` alone that gives something up.
    """

    def __init__(self) -> None:
        self.replies: list[str] | None = None  # whole control functions, in their 7-bit form, while it is a list
        self._reply = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._is_broken = False  # amid a character whose bytes are no UTF-8
        self._state = _State.GROUND
        self._began_at = 0.0  # the sequence
        self._heard_at = 0.0  # its last byte
        self._parameters = ""
        self._missing = 0  # characters of a report
        self._pasted: list[str] = []
        self._tail = ""  # of a paste: what may be the beginning of its end
        self._dropped = 0

    @property
    def deadline(self) -> float | None:
        """When to call ``expire``, unless something comes before."""
        if self._state is _State.GROUND:
            return None
        silence, longest = _limits(self._state)
        return min(self._heard_at + silence, self._began_at + longest)

    def feed(self, raw: bytes, now: float) -> list[Press]:
        """The presses that ``raw`` completes, in order."""
        pressed: list[Press] = []
        for character in self._decoder.decode(raw):
            before, one = self._state, self._read(character)
            self._take(one, pressed)
            if before is _State.GROUND:
                self._began_at = now
            if self.replies is not None:
                self._keep_reply(one, self.replies, begins=before is _State.GROUND)
        self._heard_at = now
        return pressed

    def _keep_reply(self, one: str, replies: list[str], *, begins: bool) -> None:
        one = f"{_ESC}{chr(ord(one) - 0x40)}" if "\x80" <= one <= "\x9f" else one
        self._reply = (one if begins else self._reply + one)[:_MAX_REPLY]
        if self._state is _State.GROUND and not (begins and len(one) == 1) and len(replies) < _MAX_REPLIES:
            replies.append(self._reply)

    def _read(self, character: str) -> str:
        """A byte that is no UTF-8: a C1 control is meant as one, unless it's what is left of a broken character."""
        byte = ord(character) - _ESCAPED if "\udc80" <= character <= "\udcff" else None
        broken, self._is_broken = self._is_broken, byte is not None and (byte >= 0xC0 or self._is_broken)
        if byte is None:
            return character
        return chr(byte) if byte < 0xA0 and not broken else _NOTHING

    def expire(self, now: float) -> list[Press]:
        """Give up what is unfinished, if its time is over; a paste is taken as far as it came, and ESC alone was the key."""
        pressed: list[Press] = []
        if self.deadline is not None and now >= self.deadline:
            self._decoder.reset()
            if self._state is _State.ESCAPE:
                pressed.append(ESCAPE)
            if self._state is _State.PASTE:
                self._keep(self._tail)
                self._end_paste(pressed)
            self._state = _State.GROUND
        return pressed

    def _take(self, one: str, pressed: list[Press]) -> None:
        if self._state is _State.PASTE:
            self._take_pasted(one, pressed)
        elif one in _BREAK_OFF and self._state is not _State.GROUND:
            self._state = _State.GROUND
        elif self._state in _IN_STRING:
            self._take_in_string(one, pressed)
        elif one == _ESC:
            self._state = _State.ESCAPE
        elif "\x80" <= one <= "\x9f":
            self._begin(_C1.get(one, _State.GROUND))
        else:
            self._take_in_sequence(one, pressed)

    def _take_in_sequence(self, one: str, pressed: list[Press]) -> None:
        match self._state:
            case _State.GROUND:
                if one not in ("\x00", _NOTHING):
                    pressed.append("\n" if one == "\r" else one)
            case _State.ESCAPE:
                self._begin(_State.INTERMEDIATE if " " <= one <= "/" else _FUNCTIONS.get(one, _State.GROUND))
            case _State.INTERMEDIATE:
                self._state = _State.INTERMEDIATE if one <= "/" else _State.GROUND
            case _State.SINGLE_SHIFT:
                self._state = _State.SINGLE_SHIFT if "0" <= one <= "?" else _State.GROUND
            case _State.REPORT:
                self._missing -= 1
                self._state = _State.REPORT if self._missing else _State.GROUND
            case _:
                self._take_in_control(one)

    def _begin(self, state: _State) -> None:
        self._state = state
        self._parameters = ""

    def _take_in_control(self, one: str) -> None:
        if one < " " or one == "\x7f":
            return  # ECMA-48 leaves it open; terminals obey it at once, and for us it would be a key amid a reply
        if " " <= one <= "?":
            self._parameters = (self._parameters + one)[:_MAX_PARAMETERS]
            return
        match self._parameters, one:
            case "200", "~":
                self._state = _State.PASTE
            case "", "M":
                self._state, self._missing = _State.REPORT, 3
            case "", "[":
                self._state, self._missing = _State.REPORT, 1
            case _:
                self._state = _State.GROUND

    def _take_in_string(self, one: str, pressed: list[Press]) -> None:
        escaped = self._state in (_State.STRING_ESCAPE, _State.COMMAND_ESCAPE)
        command = self._state in (_State.COMMAND, _State.COMMAND_ESCAPE)
        if one == _ST or (escaped and one == "\\") or (command and one == _BEL):
            self._state = _State.GROUND
        elif one == _ESC:
            self._state = _State.COMMAND_ESCAPE if command else _State.STRING_ESCAPE
        elif escaped:  # the string was broken off by another sequence
            self._state = _State.ESCAPE
            self._take(one, pressed)

    def _take_pasted(self, one: str, pressed: list[Press]) -> None:
        self._tail += one
        if self._tail == _PASTE_END:
            self._end_paste(pressed)
            return
        while self._tail and not _PASTE_END.startswith(self._tail):
            self._keep(self._tail[0])
            self._tail = self._tail[1:]

    def _keep(self, text: str) -> None:
        room = MAX_PASTE - len(self._pasted)
        self._pasted += text[:room]
        self._dropped += max(0, len(text) - room)

    def _end_paste(self, pressed: list[Press]) -> None:
        pressed.append(Paste("".join(self._pasted), self._dropped))
        self._pasted, self._tail, self._dropped = [], "", 0
        self._state = _State.GROUND
