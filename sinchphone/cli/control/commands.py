"""The commands of ``--control``: one JSON object a line, read into one of these classes, of which the schema is made too.

::

    {"command": "dtmf", "call_id": "3b2c", "digits": "1", "id": 7}   ->   ControlRequest(7, SendDigits(call_id="3b2c", digits="1"))

Whatever a line has in it that a command doesn't take is refused, by name: a misspelt word is told and not ignored.
"""

import difflib
import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, ClassVar, Final, NoReturn, TypeAlias, Union

from sinchphone.cli.terminal.output.events.events import Digits
from sinchphone.cli.terminal.output.listings import ValueBounds
from sinchphone.media.options import RecordLayout
from sinchphone.quick_dataclass import quick_dataclass

MAX_ID_CHARACTERS: Final = 128
_MAX_WHOLE: Final = 2**53  # what every reader of JSON can hold (RFC 8259 6)
MAX_ENTRIES: Final = 100  # of a list
_SHOWN: Final = 40  # characters of a word that isn't known
_ENVELOPE: Final = ("command", "id")

RequestId: TypeAlias = str | int | None
Name: TypeAlias = Annotated[str, ValueBounds(pattern=r"^[^\x00]{1,4096}$")]  # of a file, a device, somebody
Text: TypeAlias = Annotated[str, ValueBounds(pattern=r"^[^\x00]")]
Layout: TypeAlias = Annotated[str, ValueBounds(words=tuple(map(str, RecordLayout)))]


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PickUpCall:
    """Pick up an incoming call. One that waits while you talk to somebody else: put that call on hold, and answer here."""

    NAME: ClassVar[str] = "answer"
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DeclineCall:
    """Refuse an incoming call on all your devices; as ``busy`` on this one only."""

    NAME: ClassVar[str] = "decline"
    call_id: str | None = None
    busy: bool = False


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class HangUpCall:
    """End a call, whatever it is at."""

    NAME: ClassVar[str] = "hangup"
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SendDigits:
    """Send digits (``0-9 * # A-D``; ``w`` waits half a second, ``W`` one). Done when they are sent."""

    NAME: ClassVar[str] = "dtmf"
    digits: Digits
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PlayFile:
    """Play a sound file to the other side, after those asked for before; done when it was played. ``stop`` ends what is played or said."""

    NAME: ClassVar[str] = "play"
    path: Name | None = None
    stop: bool = False
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SpeakText:
    """Say a text to the other side, as ``play`` plays a file; needs espeak-ng. ``locale`` chooses the voice: ``sv``, ``en-GB``."""

    NAME: ClassVar[str] = "say"
    text: Text
    locale: Name | None = None
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RecordCall:
    """Record both sides to a file (.wav, .ogg, .flac) from now on; ``stop`` finishes it. At the call's end it's finished in any case."""

    NAME: ClassVar[str] = "record"
    path: Name | None = None
    layout: Layout = RecordLayout.STEREO.value
    force: bool = False
    stop: bool = False
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class HoldCall:
    """Put the other side on hold: it hears music, or silence. ``on`` false takes it back."""

    NAME: ClassVar[str] = "hold"
    on: bool = True
    music: bool = True
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TransferCall:
    """Have the other side talk with somebody else, and leave: a user id, +number, SIP address or ``conf:ROOM``; or with the other side of
    another call of yours (``to_call``, its id), and leave both."""

    NAME: ClassVar[str] = "transfer"
    to: Name | None = None
    to_call: str | None = None
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDevice:
    """Another microphone (``input``) or loudspeaker (``output``): an index or part of its name."""

    NAME: ClassVar[str] = "device"
    input: Name | None = None
    output: Name | None = None
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MuteCall:
    """Let the other side hear silence, or with ``on`` false hear you again."""

    NAME: ClassVar[str] = "mute"
    on: bool = True
    call_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SendText:
    """Send an instant message; done when the platform has it. ``to``: user ids, e-mail addresses or numbers of users."""

    NAME: ClassVar[str] = "message"
    to: list[Name]
    text: Text


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class QuitPhone:
    """Hang up, and end the command."""

    NAME: ClassVar[str] = "quit"


SoundCommand: TypeAlias = PlayFile | SpeakText | RecordCall | ChangeDevice
CallCommand: TypeAlias = (  # what is done to a call
    PickUpCall | DeclineCall | HangUpCall | SendDigits | MuteCall | HoldCall | TransferCall | SoundCommand
)
Command: TypeAlias = CallCommand | SendText | QuitPhone
COMMANDS: Final[Mapping[str, type[Any]]] = {kind.NAME: kind for kind in typing.get_args(Command)}


@quick_dataclass(frozen=True, slots=True)
class ControlRequest:
    """A command, and the id under which whoever gave it wants to be answered."""

    id: RequestId
    command: Command


class RefusedLine(Exception):  # noqa: N818 - what it is: a line that was refused
    """A line that is no command: why, and what could be read of it."""

    def __init__(
        self, reason: str, hint: str | None = None, *, request_id: RequestId = None, command: str | None = None, call_id: str | None = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint
        self.request_id, self.command, self.call_id = request_id, command, call_id


def read_request(line: bytes) -> ControlRequest:
    """The command of a line. Raises RefusedLine."""
    try:
        written = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):  # UnicodeDecodeError is one
        raise RefusedLine("not a line of JSON", 'such as {"command": "hangup"}') from None
    if not isinstance(written, dict):
        raise RefusedLine("not a JSON object", 'such as {"command": "hangup"}')
    request_id = _read_id(written.get("id"))
    name, call_id = written.get("command"), written.get("call_id")
    kind = COMMANDS.get(name) if isinstance(name, str) else None
    if kind is None:
        _refuse_command(request_id, name)
    try:
        return ControlRequest(request_id, _read_command(kind, written))
    except ValueError as error:
        met = call_id[:MAX_ID_CHARACTERS] if isinstance(call_id, str) and _is_text(call_id) else None
        raise RefusedLine(str(error), "sinchphone help control", request_id=request_id, command=kind.NAME, call_id=met) from None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _read_id(value: object) -> RequestId:
    """The request's own id. Raises RefusedLine."""
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_WHOLE
    is_word = isinstance(value, str) and len(value) <= MAX_ID_CHARACTERS and _is_text(value)
    if value is None or is_whole or is_word:
        return typing.cast("RequestId", value)
    raise RefusedLine(f"an id is a whole number or a text of at most {MAX_ID_CHARACTERS} characters")


def _refuse_command(request_id: RequestId, name: object) -> NoReturn:
    if not isinstance(name, str):
        raise RefusedLine("no command is named", 'such as {"command": "hangup"}', request_id=request_id)
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[:_SHOWN])
    near = difflib.get_close_matches(shown, COMMANDS, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    raise RefusedLine(f'there is no command "{shown}"', hint, request_id=request_id)


def _read_command(kind: type[Any], written: Mapping[str, Any]) -> Command:
    """Raises ValueError."""
    hints = typing.get_type_hints(kind, include_extras=True)
    known = {one.name: one for one in fields(kind)}
    given = {name: value for name, value in written.items() if name not in _ENVELOPE}
    odd = next((name for name in given if name not in known), None)
    if odd is not None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in odd[:_SHOWN])
        raise ValueError(f'{kind.NAME} takes no "{shown}"' + (f": it takes {', '.join(known)}" if known else ""))
    missing = next((name for name, one in known.items() if one.default is MISSING and name not in given), None)
    if missing is not None:
        raise ValueError(f'{kind.NAME} needs "{missing}"')
    return typing.cast("Command", kind(**{name: _read(hints[name], name, value) for name, value in given.items()}))


def _read(hint: Any, name: str, value: Any) -> Any:
    """The value, where it fits the field's type. Raises ValueError."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(inner[0], name, value)
    if origin is Annotated:
        read = _read(inner[0], name, value)
        if inner[1].pattern is not None and not re.search(inner[1].pattern, read):
            raise ValueError(f'"{name}" must be of the form {inner[1].pattern}')
        if inner[1].words and read not in inner[1].words:
            raise ValueError(f'"{name}" must be one of {", ".join(inner[1].words)}')
        return read
    if origin is list:
        return _read_list(inner[0], name, value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f'"{name}" must be {"a text" if hint is str else "true or false"}')
    if isinstance(value, str) and not _is_text(value):
        raise ValueError(f'"{name}" has half a surrogate pair in it')
    return value


def _read_list(hint: Any, name: str, value: Any) -> list[Any]:
    """One may stand without brackets."""
    several = value if isinstance(value, list) else [value]
    if not 0 < len(several) <= MAX_ENTRIES:
        raise ValueError(f'"{name}" must have 1 to {MAX_ENTRIES} entries')
    return [_read(hint, name, one) for one in several]


def _is_text(value: str) -> bool:
    """Whether it can be written: JSON may spell half a character (RFC 8259 8.2)."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)
