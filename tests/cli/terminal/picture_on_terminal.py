"""Shows one test picture on the terminal that it runs in, as the terminal itself chooses, and says in a file how.

usage: python picture_on_terminal.py SAYS NUMBER
"""

import asyncio
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # run as a program

from sinchphone.cli.terminal.flags.commands import VideoWindow
from sinchphone.cli.terminal.keys import Keys
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.screen.status_line import Status
from sinchphone.cli.terminal.video import protocols
from sinchphone.cli.terminal.video.window import PictureWindow
from sinchphone.picture.bar_code import PictureCode, draw_code
from sinchphone.tasks import start_task


async def show(says: Path, number: int) -> None:
    screen = Screen(None, sys.stderr, live=True)
    with Keys(sys.stdin) as keys:
        answers = await protocols.ask(keys, screen, os.environ)
        drawing = protocols.choose(VideoWindow.AUTO, answers, os.environ)
        assert drawing is not None
        window = PictureWindow(screen, drawing, remote=False, cell=answers.cell)
        screen.draw(Status("established", "bob", 1.0))
        for each in range(number + 1):
            window.far(draw_code(PictureCode(each, 1), 320, 180), 0.0)
            await window._show()
        running = start_task(window.run(), name="window")
        cell, room = screen.cell() or answers.cell, screen.picture_room()
        assert cell is not None and room is not None
        columns, rows = drawing.fit(320, 180, *room, cell)
        said = {
            "kind": type(drawing).__name__,
            "columns": columns,
            "rows": rows,
            "cell": [cell.width, cell.height],
            "keys": keys._waiting.qsize(),
        }
        (says / "being written").write_text(json.dumps(said))
        (says / "being written").rename(says / "shown")
        await gone(says / "shown")
        running.cancel()
        screen.close()
        (says / "closed").touch()
        await gone(says / "closed")


async def gone(file: Path) -> None:
    for _ in range(1_000):
        if not file.exists():
            return
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(show(Path(sys.argv[1]), int(sys.argv[2])))
