"""kitty and xterm under Xvfb: the picture on their screen is the one that was shown, and it's gone at the end."""

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinchphone.picture.bar_code import PictureCode, read_code
from sinchphone.picture.frame import Picture, even

PROGRAM = Path(__file__).with_name("picture_on_terminal.py")
PATIENCE_S = 60.0  # beside other tests that are just starting
TERMINALS = {
    "xterm": ("Sixels", ["xterm", "-ti", "vt340", "-xrm", "XTerm*numColorRegisters: 256", "-b", "0", "-geometry", "80x24", "-e"]),
    "kitty": ("KittyImages", ["kitty", "--config", "NONE", "-o", "window_padding_width=0", "-o", "update_check_interval=0"]),
}


class Display:
    """An X server without a screen, whose pixels are in a file (XWD)."""

    def __init__(self, folder: Path) -> None:
        reading, writing = os.pipe()
        options = ["-screen", "0", "900x600x24", "-nolisten", "tcp", "-fbdir", str(folder), "-displayfd", str(writing)]
        self._file = folder / "Xvfb_screen0"
        self._process = subprocess.Popen(["Xvfb", *options], pass_fds=(writing,), stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as told:
            self.name = f":{told.readline().strip()}"

    def pixels(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        data = self._file.read_bytes()
        head = struct.unpack("!25I", data[:100])
        begin, width, height, line, colours = head[0], head[4], head[5], head[12], head[19]
        raw = np.frombuffer(data, np.uint8, line * height, begin + 12 * colours).reshape(height, line)
        return raw[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Display]:
    if shutil.which("Xvfb") is None:
        pytest.skip("needs the package xvfb")
    (tmp_path / "screen").mkdir()
    server = Display(tmp_path / "screen")
    yield server
    server.close()


def wait_for(what: Any) -> Any:
    limit = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < limit
        time.sleep(0.05)
    return found


def code_on(pixels: np.ndarray[Any, np.dtype[np.uint8]], said: dict[str, Any]) -> PictureCode | None:
    """What the picture on the screen says; it stands in the first row of cells."""
    width, height = even(round(said["columns"] * said["cell"][0])), even(round(said["rows"] * said["cell"][1]))
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = pixels[:height, :width].mean(axis=2)
    return read_code(Picture(planes))


@pytest.mark.parametrize("terminal", TERMINALS)
def test_the_picture_on_the_screen_is_the_one_that_was_shown_and_it_goes(terminal: str, display: Display, tmp_path: Path) -> None:
    kind, command = TERMINALS[terminal]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs the package {terminal}")
    says = tmp_path / "says"
    says.mkdir()
    environment = {**os.environ, "DISPLAY": display.name, "HOME": str(tmp_path), "LIBGL_ALWAYS_SOFTWARE": "1", "LC_ALL": "C.UTF-8"}
    environment.pop("TMUX", None)
    program = [sys.executable, str(PROGRAM), str(says), "5"]
    process = subprocess.Popen([*command, *program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((says / "shown").exists)
        said = json.loads(wait_for((says / "shown").read_text))
        assert said["kind"] == kind and said["keys"] == 0  # no reply was taken for a key
        wait_for(lambda: code_on(display.pixels(), said) == PictureCode(5, 1))  # kitty draws them with a delay
        (says / "shown").unlink()
        wait_for((says / "closed").exists)
        height, width = round(said["rows"] * said["cell"][1]), round(said["columns"] * said["cell"][0])
        wait_for(lambda: display.pixels()[20:height, 20:width].std() < 20)
        (says / "closed").unlink()
    finally:
        process.terminate()
        process.wait(10)
