"""The pictures of one call at this end: opened before it is answered, shown once there is sound, closed with it."""

from collections.abc import Callable
from functools import partial

from sinchphone.engine.calls.call_events import CallWarning
from sinchphone.errors import AudioFileError, DeviceError, LocalProtocolError
from sinchphone.media.legs.call_leg import CallLeg
from sinchphone.media.pictures.pictures import Pictures
from sinchphone.media.port import MediaPort


class CallPictures:
    """For the call's task. ``pictures`` is ``None`` in a call that has none of ours."""

    def __init__(self, pictures: Pictures | None, warn: Callable[[CallWarning], None]) -> None:
        self.pictures = pictures
        self.alone = False  # the call was answered with sound alone
        self.paused = False
        self._warn = warn
        self._untap: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """For a call that comes: what isn't there is missed in the picture only."""
        if self.pictures is None:
            return
        try:
            await self.pictures.open()
        except (AudioFileError, DeviceError) as error:
            self._warn(CallWarning(message=str(error), hint=error.hint))

    async def connect(self, port: MediaPort | None, codec: str | None, leg: CallLeg) -> None:
        """Once there is sound, by ``leg``: no camera runs before. ``codec``: what was agreed on for pictures, if any were."""
        if self.pictures is None or port is None or self.alone:
            return
        if codec is None:
            self._warn(CallWarning(message="the other side takes no pictures", hint="the call goes on with sound alone"))
            return
        await self.pictures.connect(port.pictures)
        tap = self.pictures.tap
        if tap is not None:
            self._untap()
            leg.tap(tap)
            self._untap = partial(leg.untap, tap)

    def pause(self, paused: bool) -> None:
        """Raises LocalProtocolError where there are none."""
        if self.pictures is None:
            raise LocalProtocolError("the call has no pictures", hint="it needs video from its start: --video, or video= of call_user")
        self.paused = paused
        self.pictures.pause(paused)

    async def close(self) -> None:
        """Close the camera, finish the recording."""
        self._untap()
        if self.pictures is not None:
            await self.pictures.close()
