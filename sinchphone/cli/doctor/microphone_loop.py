"""Does the microphone hear the loudspeaker? ``doctor --microphone`` plays the tones of ``selfcheck`` and listens for them.

::

    tones -> loudspeaker -> air -> microphone -> the same detector as for a call to echo -> Finding
"""

import asyncio
import math
from typing import TYPE_CHECKING, Final

from sinchphone.cli.doctor.finding import Finding
from sinchphone.cli.terminal.output.listings import CheckResult
from sinchphone.cli.terminal.session import Session

if TYPE_CHECKING:
    from sinchphone.audio.frame import Samples
    from sinchphone.cli.calling.media.selfcheck import Heard

PLAY_SECONDS: Final = 8.0  # at most: a device may take long to begin
TAIL_SECONDS: Final = 1.5  # that sound may take from the loudspeaker through both devices
_POLL_SECONDS: Final = 0.05
_TRY: Final = "sinchphone devices test plays back what you say"


async def check_microphone(session: Session) -> Finding:
    """Play the tones on the loudspeaker and listen for them, with the devices that a call would have. Raises DeviceError."""
    from sinchphone.cli.calling.media.selfcheck import check_pattern
    from sinchphone.media.local_audio.devices import sound_cards as devices

    audio = session.options.audio
    found = await asyncio.to_thread(devices.find_device, audio.input, devices.Direction.INPUT)
    played_on = await asyncio.to_thread(devices.find_device, audio.output, devices.Direction.OUTPUT)
    loop = _Loop(check_pattern())
    microphone = devices.Microphone(found, loop.hear, lambda: None)
    loudspeaker = devices.Loudspeaker(played_on, loop.say, lambda: None)
    try:
        await asyncio.to_thread(microphone.open)
        await asyncio.to_thread(loudspeaker.open)
        await loop.played()
        await asyncio.sleep(TAIL_SECONDS)
    finally:
        loudspeaker.close()
        microphone.close()
    return judge(found.name, played_on.name, loop.heard())


def judge(microphone: str, loudspeaker: str, heard: "Heard | None") -> Finding:
    """What is said of it. ``heard`` is None where the microphone gave digital silence, or nothing."""
    if heard is None:
        return Finding(CheckResult.PROBLEM, f"{microphone} gives no sound at all", f"is it switched off, or another one meant? {_TRY}")
    level = -math.inf if heard.level_dbfs is None else heard.level_dbfs
    if heard.echo:
        return Finding(CheckResult.OK, f"{microphone} hears {loudspeaker} after {heard.delay_ms} ms, {level:.0f} dBFS")
    what = f"other sound, {level:.0f} dBFS" if heard.sound else "silence"
    return Finding(
        CheckResult.WARNING, f"{microphone} hears {what}, and not {loudspeaker}", f"right for a headset, else turn it up; {_TRY}"
    )


class _Loop:
    """What the devices' threads call: they take the tones, and give what is heard from the first tone on."""

    def __init__(self, pattern: "Samples") -> None:
        self._pattern = pattern
        self._at = 0
        self._heard: list[Samples] = []

    def say(self, count: int) -> "Samples":
        """The next part of the pattern, and silence after it."""
        import numpy as np

        part = self._pattern[self._at : self._at + count]
        self._at += count
        return np.concatenate([part, np.zeros(count - len(part), np.int16)])

    def hear(self, block: "Samples") -> None:
        """What the microphone captured; before the loudspeaker plays it doesn't count."""
        if self._at:
            self._heard.append(block.copy())

    async def played(self) -> None:
        """Until the pattern was taken, or it's too late."""
        for _ in range(round(PLAY_SECONDS / _POLL_SECONDS)):
            if self._at >= len(self._pattern):
                return
            await asyncio.sleep(_POLL_SECONDS)

    def heard(self) -> "Heard | None":
        """What came back; None for digital silence."""
        import numpy as np

        from sinchphone.audio.frame import FRAME_SAMPLES, silence
        from sinchphone.cli.calling.media.selfcheck import EchoProbe

        sound = np.concatenate([*self._heard, silence()])
        if not sound.any():
            return None
        probe = EchoProbe()
        probe.begin()
        probe.tick(silence())
        for at in range(0, len(sound) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
            probe.tick(sound[at : at + FRAME_SAMPLES])
        return probe.heard()
