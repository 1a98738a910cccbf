"""The options of video calls: what excludes what, whom nobody can see, and that a call without video loads nothing of it."""

import subprocess
import sys

import pytest

from sinchphone.cli.exits import ExitCode

BY_ITSELF = """
import sys
from sinchphone.cli.commands import call, listen
from sinchphone.cli.calling import outgoing
from sinchphone.engine import client
from sinchphone.media import thread
from sinchphone.media.local_audio import local_audio
from sinchphone.media.webrtc import port
kept = ("sinchphone.picture.", "sinchphone.media.video", "sinchphone.media.local_video", "sinchphone.protocol.rtp.video",
        "sinchphone.cli.terminal.video", "linuxpy", "sinchphone.media.webrtc.video")
print([name for name in sys.modules if name.startswith(kept)])
"""


def test_a_call_without_video_loads_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", BY_ITSELF], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sinchphone", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("call", "+46700000000", "--video"), "number"),
        (("call", "conf:standup", "--video"), "room"),
        (("call-user", "bob", "--video-test"), "needs --video"),
        (("call-user", "bob", "--video-window", "none"), "needs --video"),
        (("call-user", "bob", "--video", "--video-test", "--video-play", "a.mkv"), "exclude"),
        (("call-user", "bob", "--video", "--video-window", "big"), "auto, kitty, iterm2, sixel, blocks, none"),
        (("conference", "standup", "--video"), "--video"),
        (("call-phone", "+46700000000", "--video"), "--video"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == ExitCode.USAGE
    assert words in done.stderr
