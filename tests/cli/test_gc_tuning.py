"""The garbage collector is put off while a command starts, and only then. Each in a process of its own: it has one collector."""

import socket
import subprocess
import sys
from pathlib import Path

PROMPTLY = """
import gc, sys
from sinchphone.cli.command_line import command_line
from sinchphone.cli.terminal import gc_tuning as garbage
garbage.SETTLED_S = 0.1
garbage.put_off()
code = command_line(sys.argv[1:])
print(code, gc.isenabled(), gc.get_freeze_count() > 1000, file=sys.stderr)
"""


def run(program: str, *arguments: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stderr.splitlines()[-1].split()


def test_a_command_that_goes_on_collects_garbage_again(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    configuration = tmp_path / "sinchphone.toml"
    configuration.write_text(f"state_dir = {str(tmp_path / 'state')!r}\n[exchange]\nport = {port}\n")
    found = run(PROMPTLY, "--config", str(configuration), "listen", "--user", "ada", "--no-audio", "--for", "0.5s")
    assert found == ["0", "True", "True"]


def test_nothing_is_frozen_where_collection_was_not_put_off() -> None:
    program = (
        "import gc, sys; from sinchphone.cli.terminal import gc_tuning; gc_tuning.settle(); print(gc.get_freeze_count(), file=sys.stderr)"
    )
    assert run(program) == ["0"]
