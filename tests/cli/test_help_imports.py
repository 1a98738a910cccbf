import json
import subprocess
import sys

import pytest

HEAVY = ("aiortc", "aioice", "av", "aiohttp", "numpy", "sounddevice", "cryptography", "phonenumbers", "jwt", "rich")
PROGRAM = f"""
import json, sys
from sinchphone.cli.command_line import command_line
code = command_line(sys.argv[1:])
print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["call", "--help"], ["listen", "--help"], [], ["config", "show"], ["call", "a@"]],
    ids=" ".join,
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=True)
    code, heavy = json.loads(done.stderr.splitlines()[-1])
    assert code == (2 if arguments == ["call", "a@"] else 0)
    assert heavy == []


def test_completion_is_on() -> None:
    environ = {"_SINCHPHONE_COMPLETE": "complete_bash", "COMP_WORDS": "sinchphone call-", "COMP_CWORD": "1", "PATH": ""}
    program = "from sinchphone.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environ, check=False)
    assert "call-user" in done.stdout
