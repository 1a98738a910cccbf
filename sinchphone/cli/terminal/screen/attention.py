"""Calls a person to a terminal that they don't look at: the bell, the window's title, a desktop notification where the terminal has them.

::

    somebody calls -> BEL, title "bob calls", OSC 9 or OSC 777       answered, declined, given up -> the title that was there before

Names of callers come from outside: nothing in them may end a sequence, begin another or part a field. Inside tmux what is meant for the
terminal around it is wrapped (tmux passes it on where ``allow-passthrough`` is on).
"""

import os
from collections.abc import Mapping
from typing import Final, TextIO

from sinchphone.cli.terminal.screen.status_line import cut_to
from sinchphone.cli.terminal.text.escape import escape

_MAX_NAME: Final = 60  # columns
_BELL, _ESC, _ST = "\x07", "\x1b", "\x1b\\"
_KEEP_TITLE, _TITLE_BEFORE = "\x1b[22;2t", "\x1b[23;2t"  # xterm's stack of titles
_TITLED: Final = ("xterm", "tmux", "screen", "rxvt", "alacritty", "foot", "kitty", "konsole", "vte", "wezterm", "ghostty", "st-")
_NINE: Final = ("iTerm.app", "WezTerm", "ghostty")  # TERM_PROGRAM of those that take OSC 9
_777: Final = ("rxvt", "foot", "kitty")  # TERM of those that take OSC 777


class Attention:
    """On one terminal. Raises OSError."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] | None = None) -> None:
        self._stream = stream
        self._environ = os.environ if environ is None else environ
        self._ringing: set[str] = set()

    def ring(self, call_id: str, name: str) -> None:
        """Somebody calls."""
        name = harmless(name)
        keep = _KEEP_TITLE if not self._ringing and self._has_titles else ""
        self._ringing.add(call_id)
        title = f"{keep}{_ESC}]2;{name} calls{_ST}" if self._has_titles else ""
        self._write(f"{_BELL}{title}{self._notification(name)}")

    def over(self, call_id: str) -> None:
        """They don't any more: it was answered, or has ended."""
        if call_id in self._ringing:
            self._ringing.discard(call_id)
            if not self._ringing:
                self._restore()

    def release(self) -> None:
        """Leave the terminal as it was. May be called twice."""
        if self._ringing:
            self._ringing.clear()
            self._restore()

    def _restore(self) -> None:
        if self._has_titles:
            self._write(_TITLE_BEFORE)

    @property
    def _has_titles(self) -> bool:
        return self._environ.get("TERM", "").startswith(_TITLED)

    def _notification(self, name: str) -> str:
        if self._environ.get("TERM_PROGRAM", "") in _NINE or self._environ.get("LC_TERMINAL") == "iTerm2":
            return self._wrapped(f"{_ESC}]9;{name} calls{_BELL}")
        if self._environ.get("TERM", "").startswith(_777):
            return self._wrapped(f"{_ESC}]777;notify;sinchphone;{name} calls{_BELL}")
        return ""

    def _wrapped(self, sequence: str) -> str:
        """For the terminal around tmux."""
        return f"{_ESC}Ptmux;{sequence.replace(_ESC, _ESC * 2)}{_ST}" if "TMUX" in self._environ else sequence

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def harmless(name: str) -> str:
    """A caller's name in one field of a sequence, cut to what a title has room for: escaped, each character may have become ten."""
    return cut_to(escape(name, _MAX_NAME + 1), _MAX_NAME).replace("\\", "/").replace(";", ",")
