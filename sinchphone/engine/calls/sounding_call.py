"""What a user of a call does to its sound: mute, play, say, record, choose devices."""

from collections.abc import Callable
from pathlib import Path

from sinchphone.engine.calls.media.audio import CallAudio
from sinchphone.engine.calls.observed_call import ObservedCall
from sinchphone.engine.events.listeners import ListenerTasks
from sinchphone.media.options import RecordLayout
from sinchphone.media.sound import Levels, RecordFinished, Sound, SoundOptions


class SoundingCall(ObservedCall):
    """The part of a ``Call`` that is heard. For the loop's thread."""

    def __init__(self, listening: ListenerTasks, sound: Sound, make_sound: Callable[[SoundOptions], Sound] | None) -> None:
        """As ``Call``."""
        super().__init__(listening)
        self.muted = False
        self._audio = CallAudio(sound, self._tell_event, make_sound)

    @property
    def sound(self) -> Sound:
        """What it is joined to at this end."""
        return self._audio.sound

    def mute(self, muted: bool) -> None:
        """While muted the peer hears silence."""
        self.muted = muted
        self._audio.mute(muted)

    def levels(self) -> Levels:
        """How loud both directions are now; the near sound is what is sent, whether it's said or played."""
        return self._audio.levels()

    async def play(self, path: str | Path) -> bool:
        """Play a sound file to the peer in place of the near sound, after those asked for before; begins when the call is established.
        Any format that PyAV opens. Returns when it was played: True at its end; False where ``stop_playing`` or the end of the call came
        first. Cancelling stops it. ``events`` tells PlayStarted and PlayFinished. Raises AudioFileError for a file that can't be read,
        LocalProtocolError once the call is over."""
        return await self._audio.play(str(path))

    async def say(self, text: str, locale: str | None = None) -> bool:
        """Speak a text of 1 to 4096 characters to the peer, with eSpeak NG, as ``play`` plays a file. ``locale`` chooses the voice:
        ``sv``, ``en-GB``; English where there is none for it. Returns and raises as ``play`` does, and MediaError where this machine has
        no eSpeak NG, or it fails."""
        return await self._audio.say(text, locale)

    def stop_playing(self) -> None:
        """End what plays, and what waits to be played; the near sound is heard again. May be called at any time."""
        self._audio.stop_playing()

    async def record(self, path: str | Path, *, layout: RecordLayout | str = RecordLayout.STEREO, force: bool = False) -> None:
        """Record both sides to a file (.wav, .ogg or .flac) from now on, or from established on: near left and far right, or one track
        as ``layout`` says. Returns when the file is made; ``stop_recording`` or the end of the call (before ``closed``) gives it its name.
        ``events`` tells RecordStarted and RecordFinished. Raises AudioFileError for a name that can't be used, or is taken and not
        ``force``; ValueError for a layout that isn't one; LocalProtocolError while another recording of ``record`` runs, and once the call
        is over."""
        await self._audio.record(str(path), layout=layout, force=force)

    async def stop_recording(self) -> RecordFinished | None:
        """Finish the recording that ``record`` began, within about three seconds: its path and seconds, and why it isn't complete, if so.
        None where there is none, or it isn't in its place yet. Cancelling is safe."""
        return await self._audio.stop_recording()

    async def set_device(self, *, microphone: int | str | None = None, loudspeaker: int | str | None = None) -> None:
        """Another microphone, another loudspeaker, from now on: an index or part of its name, as in SoundOptions; ``None`` leaves it as it
        is. Returns when it is open; DevicesChanged among the sound's events says which. Raises DeviceError where there is none such or
        it can't be opened: what was used goes on; LocalProtocolError where the call has no devices, or no microphone since something
        else speaks."""
        await self._audio.set_device(microphone, loudspeaker)

    async def part(self) -> None:
        """Both calls are apart again, and neither is held. Does nothing where none is joined."""
        await self._audio.part()

    async def rest(self, resting: bool) -> None:
        """Let go of this call's sound devices, for the sake of another call, or take them again; what is played goes on."""
        await self._audio.rest(resting)

    @property
    def is_joined(self) -> bool:
        """Whether another call is joined to this one."""
        return self._audio.is_joined
