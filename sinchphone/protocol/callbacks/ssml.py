"""SSML that a stranger wrote, read by a list of what it may hold and written anew from what was read. Pure.

::

    "<speak>one<break time='1s'/>two</speak>"  ->  read_ssml  ->  the same, for eSpeak NG: known elements and checked attributes alone

The list is what the platform's own voices take (a part of SSML 1.1) as far as it does no harm. eSpeak NG plays the file that an ``audio``
element names, and hands that name to a shell: there is no such element here, nor one that names a place.
"""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.callbacks.svaml_fields import describe
from sinchphone.quick_dataclass import quick_dataclass

MAX_ELEMENTS: Final = 256
MAX_ELEMENT_DEPTH: Final = 16
MAX_PAUSES_SECONDS: Final = 60.0  # of all breaks together
MAX_BREAK_SECONDS: Final = 10.0  # Amazon Polly's
_HINT: Final = "elements are speak, p, s, break, emphasis, prosody, say-as, sub, voice, lang, mark, phoneme and w"

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f]{0,200}")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9:_-]{0,30}")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,30}")  # no dots and slashes: voices are files
_TIME: Final = re.compile(r"\+?(\d{1,5}(?:\.\d{1,3})?)(ms|s)")
_STRENGTH: Final = re.compile("none|x-weak|weak|medium|strong|x-strong")
_LEVEL: Final = re.compile("strong|moderate|none|reduced")
_PITCH: Final = re.compile(r"x-low|low|medium|high|x-high|default|[+-]?\d{1,3}(\.\d{1,2})?(%|Hz|st)?")
_RATE: Final = re.compile(r"x-slow|slow|medium|fast|x-fast|default|\d(\.\d{1,2})?|(1\d|[2-9])\d%|200%")
_VOLUME: Final = re.compile(r"silent|x-soft|soft|medium|loud|x-loud|default|[+-]?\d{1,2}(\.\d{1,2})?(dB|%)?|100%?")
_NUMBER: Final = re.compile(r"\d{1,3}")
_GENDER: Final = re.compile("male|female|neutral")


@quick_dataclass(frozen=True, slots=True)
class _Element:
    """``attributes``: what may stand there, and how its values look. ``spoken_as``: the name that eSpeak NG knows it by; without one it
    makes no difference, and only what is in it is spoken."""

    attributes: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    spoken_as: str | None = None


_EVERYWHERE: Final[Mapping[str, re.Pattern[str]]] = {"xml:lang": _LANGUAGE}
_SILENT: Final = frozenset({"xml:base", "xml:space", "xml:id", "version", "onlangfailure"})  # allowed, and of no meaning here
_ELEMENTS: Final[Mapping[str, _Element]] = {
    "speak": _Element({}, "speak"),
    "p": _Element({}, "p"),
    "s": _Element({}, "s"),
    "break": _Element({"time": _TIME, "strength": _STRENGTH}, "break"),
    "emphasis": _Element({"level": _LEVEL}, "emphasis"),
    "prosody": _Element({"pitch": _PITCH, "range": _PITCH, "rate": _RATE, "volume": _VOLUME}, "prosody"),
    "say-as": _Element({"interpret-as": _WORD, "format": _WORD, "detail": _WORD}, "say-as"),
    "sub": _Element({"alias": _TEXT}, "sub"),
    "voice": _Element({"name": _NAME, "gender": _GENDER, "age": _NUMBER, "variant": _NUMBER}, "voice"),
    "lang": _Element({}, "voice"),
    "mark": _Element({"name": _TEXT}),
    "phoneme": _Element({"alphabet": _TEXT, "ph": _TEXT}),
    "w": _Element({"role": _TEXT}),
    "amazon:effect": _Element({"name": _TEXT, "phonation": _TEXT, "vocal-tract-length": _TEXT}),
    "amazon:domain": _Element({"name": _TEXT}),
    "amazon:auto-breaths": _Element({"volume": _TEXT, "frequency": _TEXT, "duration": _TEXT}),
    "amazon:breath": _Element({"volume": _TEXT, "duration": _TEXT}),
}


def read_ssml(text: str) -> str:
    """The same speech in SSML that can be given to eSpeak NG; a ``speak`` element around the whole may be left out.

    Raises RemoteProtocolError for what isn't well-formed, has a document type (and with it entities of its own), or has elements,
    attributes or values that aren't on the list.
    """
    written = text.strip()
    whole = written if written.startswith(("<speak", "<?xml")) else f"<speak>{written}</speak>"
    reading = _Reading()
    try:
        reading.parser.Parse(whole.encode(errors="replace"), True)
    except expat.ExpatError as error:
        raise RemoteProtocolError(f"the SSML is not well-formed: {expat.ErrorString(error.code)}", hint=_HINT) from error
    return "".join(reading.written)


class _Reading:
    """One text while it is parsed."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = lambda data: self.written.append(escape(data))
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.ProcessingInstructionHandler = self._refuse_instruction
        self._open: list[str | None] = []  # the names that were written
        self._elements = 0
        self._pauses_seconds = 0.0

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        element = _ELEMENTS.get(name)
        if element is None or (name == "speak") is bool(self._open):
            raise RemoteProtocolError(f"the SSML has an element {describe(name)}, which isn't read here", hint=_HINT)
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._open) >= MAX_ELEMENT_DEPTH:
            raise RemoteProtocolError(f"the SSML has more than {MAX_ELEMENTS} elements, or more than {MAX_ELEMENT_DEPTH} inside each other")
        known = [(key, self._checked(name, element, key, value)) for key, value in attributes.items() if not _is_silent(key)]
        self._open.append(element.spoken_as)
        if element.spoken_as is not None:
            self.written.append(f"<{element.spoken_as}{''.join(f' {key}={quoteattr(value)}' for key, value in known)}>")

    def _end(self, _: str) -> None:
        name = self._open.pop()
        if name is not None:
            self.written.append(f"</{name}>")

    def _checked(self, name: str, element: _Element, key: str, value: str) -> str:
        pattern = element.attributes.get(key) or _EVERYWHERE.get(key)
        if pattern is None:
            raise RemoteProtocolError(f"the SSML's {name} has an attribute {describe(key)}, which isn't read here")
        if not pattern.fullmatch(value):
            raise RemoteProtocolError(f"the SSML's {name} can't have {describe(value)} as its {key}")
        if pattern is _TIME:
            self._pause(value)
        return value

    def _pause(self, value: str) -> None:
        found = _TIME.fullmatch(value)
        seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0.0
        self._pauses_seconds += seconds
        if seconds > MAX_BREAK_SECONDS or self._pauses_seconds > MAX_PAUSES_SECONDS:
            raise RemoteProtocolError(f"the SSML has a break of more than {MAX_BREAK_SECONDS:g} s, or of {MAX_PAUSES_SECONDS:g} s in all")

    def _refuse_doctype(self, *_: object) -> None:
        raise RemoteProtocolError("the SSML has a document type, which isn't read here", hint="leave out <!DOCTYPE …>")

    def _refuse_instruction(self, *_: object) -> None:
        raise RemoteProtocolError("the SSML has a processing instruction, which isn't read here")


def _is_silent(key: str) -> bool:
    return key in _SILENT or key == "xmlns" or key.startswith(("xmlns:", "xsi:"))
