"""``sinchphone`` as a process of its own."""

import subprocess
import sys
from typing import Any, Final

SINCHPHONE: Final = (sys.executable, "-c", "from sinchphone.cli.main import main; main()")


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """A command that runs, with pipes for what it says and nothing on its standard input."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*SINCHPHONE, *arguments], **(streams | options))


def until_said(stream: Any, text: str) -> str:
    """Read lines until one has that in it; all that were read."""
    seen = ""
    while text not in seen:
        line = stream.readline()
        assert line, f"{text!r} never came: {seen!r}"
        seen += line
    return seen
