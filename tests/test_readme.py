"""What the README says is so."""

import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from sinchphone.cli.exits import ExitCode

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_python_example_runs_as_it_stands(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["created", "progressing", "ringing", "answered", "established", "ended", "hung_up"]
    with wave.open(str(tmp_path / "call.wav")) as recording:
        assert recording.getnchannels() == 2
        assert recording.getnframes() / recording.getframerate() > 1.0


def test_every_exit_code_of_the_table_is_one() -> None:
    cells = re.findall(r"\| (\d+) \| [a-z]", README)
    assert len(cells) > 12
    assert {int(cell) for cell in cells} <= {int(code) for code in ExitCode}


@pytest.mark.parametrize("room", re.findall(r"^ *([a-z]+)/ ", README.split("```\ncli/")[1].split("```")[0], re.MULTILINE))
def test_every_room_of_the_architecture_exists(room: str) -> None:
    assert any(path.is_dir() for path in (ROOT / "sinchphone").rglob(room))


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^\| `sinchphone ([a-z-]+)", README, re.MULTILINE))))
def test_every_command_of_the_table_has_help(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "sinchphone", command, "--help"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0
    assert "Usage:" in done.stdout
