"""The pictures of one call for a person or a script: what happens to them is told, and at a terminal they are seen."""

import asyncio
import os
from typing import TYPE_CHECKING, assert_never

from sinchphone.cli.terminal.flags.commands import VideoWindow
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.events import video as v

if TYPE_CHECKING:
    from sinchphone.cli.calling.outcomes import Outcomes
    from sinchphone.cli.terminal.keys import Keys
    from sinchphone.cli.terminal.session import Session
    from sinchphone.cli.terminal.video.window import PictureWindow
    from sinchphone.engine.calls.call import Call
    from sinchphone.media.pictures.pictures import Pictures


class Seeing:
    """Of one call; does nothing in one without pictures."""

    def __init__(self, session: "Session", call: "Call", keys: "Keys", how: VideoWindow, outcomes: "Outcomes") -> None:
        """``how``: as ``--video-window``."""
        self.camera: str | None = None  # that runs
        self._session = session
        self._call = call
        self._keys = keys
        self._how = how
        self._outcomes = outcomes
        self._window: PictureWindow | None = None

    async def follow(self) -> None:
        """Tell what happens, up to the end of the call's pictures."""
        from sinchphone.media.pictures import pictures as p
        from sinchphone.media.sound import RecordFinished, RecordStarted

        pictures = self._call.pictures
        if pictures is None:
            return
        call_id = self._call.id
        async for event in pictures.events():
            match event:
                case p.CameraStarted(name=name):
                    self.camera = name
                    self._session.tell(v.VideoCamera(call_id=call_id, camera=name, running=True))
                case p.CameraStopped(name=name):
                    self.camera = None
                    self._session.tell(v.VideoCamera(call_id=call_id, camera=name, running=False))
                case p.PicturesFinished(path=path):
                    self._session.note(f"{path} was shown to its end; its last picture stays")
                case RecordStarted(path=path):
                    self._outcomes.recording_pictures()
                    self._session.tell(e.RecordStartedTold(call_id=call_id, path=path))
                case RecordFinished(path=path, seconds=seconds, failure=failure):
                    self._outcomes.recorded_pictures(path, failure)
                    self._session.tell(e.RecordFinishedTold(call_id=call_id, path=path, duration_s=round(seconds, 3), failure=failure))
                case p.PictureWarning(message=message, hint=hint):
                    self._session.tell(e.Warned(message=message, hint=hint or None))
                case _:
                    assert_never(event)
        if self._call.has_video:
            counts = pictures.counts()
            self._session.tell(v.VideoSeen(call_id=call_id, pictures=counts.seen, recognised=counts.recognised))

    async def show(self) -> None:
        """See them in the terminal, once there is sound, until cancelled."""
        if not await self._call.established():
            return
        pictures = self._call.pictures
        if pictures is None or not self._call.has_video or self._how is VideoWindow.NONE or not self._session.interactive:
            return
        window = await self._open(pictures)
        if window is None:
            self._session.note("this terminal has too few colours for pictures (COLORTERM, TERM); --video-window none says nothing of it")
            return
        self._window = window
        try:
            await window.run()
        finally:
            pictures.view(None)

    def toggle_self(self) -> None:
        """The picture of oneself in the corner, or not."""
        if self._window is not None:
            self._window.shows_self = not self._window.shows_self

    @property
    def is_shown(self) -> bool:
        """Whether there is a window."""
        return self._window is not None

    async def _open(self, pictures: "Pictures") -> "PictureWindow | None":
        from sinchphone.cli.terminal.video import protocols

        screen, how = self._session.screen, self._how
        answers = protocols.Answers()
        if how is not VideoWindow.BLOCKS:
            answers = await protocols.ask(self._keys, screen, os.environ)
        drawing = await asyncio.to_thread(protocols.choose, how, answers, os.environ)
        if drawing is None:
            return None
        from sinchphone.cli.terminal.video.window import PictureWindow

        window = PictureWindow(screen, drawing, remote=protocols.is_remote(os.environ), cell=answers.cell)
        pictures.view(window)
        return window
