"""What the sound of a call is made of, from the options; and what becomes of a call where there is no sound device."""

import asyncio
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sinchphone.cli.addressing.destination import Destination, Kind
from sinchphone.cli.calling.outcomes import Requests
from sinchphone.cli.exits import ExitCode, hint_of_code
from sinchphone.cli.terminal.flags.commands import SoundFlags, VideoFlags
from sinchphone.cli.terminal.output.events.events import Warned
from sinchphone.errors import DeviceError
from sinchphone.options import Options, Place

if TYPE_CHECKING:
    from sinchphone.media.pictures.pictures import PictureOptions
    from sinchphone.media.sound import SoundOptions


def sound_options(flags: SoundFlags, options: Options) -> "SoundOptions":
    """The sound that was asked for."""
    from sinchphone.media.local_audio.descriptors import claim
    from sinchphone.media.sound import SoundOptions

    return SoundOptions(
        **{one.name: getattr(options.audio, one.name) for one in fields(options.audio)},
        play=tuple(flags.play or ()),
        tone_hz=flags.tone,
        record=flags.record,
        record_layout=flags.record_layout,
        pipe_in=flags.pipe_in and claim(flags.pipe_in, "read", inherited=True),
        pipe_out=flags.pipe_out and claim(flags.pipe_out, "write", inherited=True),
        force=flags.force,
        devices=not flags.no_audio,
        microphone=not flags.no_mic and flags.say is None,
    )


def check_files(flags: SoundFlags) -> None:
    """What a call would find out too late, before anything is opened or started. Raises AudioFileError and MediaError."""
    from sinchphone.media.local_audio import files, pipes

    for path in flags.play or ():
        files.check(path)
    if flags.say is not None:
        from sinchphone.media.local_audio.speech import check_speakable

        check_speakable(flags.say)
    if flags.record is not None:
        files.check_recording(Path(flags.record), force=flags.force)
    if isinstance(flags, VideoFlags) and flags.video_record is not None:
        from sinchphone.media.local_video.recorder import check_picture_recording

        check_picture_recording(Path(flags.video_record), force=flags.force)
    pipes.check_paths(flags.pipe_in, flags.pipe_out, force=flags.force)


def share_output(options: "SoundOptions") -> "SoundOptions":
    """The sound of several calls, one after the other: a plain file that is written to goes on with each. Raises AudioFileError."""
    from sinchphone.media.local_audio.pipes import claim_output

    if not isinstance(options.pipe_out, str):
        return options
    return replace(options, pipe_out=claim_output(options.pipe_out, force=options.force))


def picture_options(flags: SoundFlags, options: Options) -> "PictureOptions | None":
    """The pictures that were asked for; ``None`` for none."""
    if not isinstance(flags, VideoFlags) or not flags.video:
        return None
    from sinchphone.media.local_audio.descriptors import claim
    from sinchphone.media.pictures.pictures import PictureOptions

    played = flags.video_play
    source = claim(played, "read", inherited=True) if played is not None and played.startswith("fd:") else played
    return PictureOptions(camera=options.video.camera, play=source, test=flags.video_test, record=flags.video_record, force=flags.force)


def requests_of(flags: SoundFlags) -> Requests:
    """What was asked for, each of which has an outcome."""
    seen = flags.video_record if isinstance(flags, VideoFlags) else None
    played = tuple(flags.play or ())
    asked = Requests(play=played, say=flags.say, record=flags.record, video_record=seen, dtmf=flags.dtmf)
    return replace(asked, pipe_in=flags.pipe_in, pipe_out=flags.pipe_out)


async def missing_devices(flags: SoundFlags, options: Options, destination: Destination) -> Warned | None:
    """The warning under which a call checks the line instead: nothing was said about sound, no device is there, and an end that the
    local exchange answers itself would talk to nobody for ever. ``None`` for any other call."""
    if not flags.say_nothing_of_sound or options.max_duration is not None or not _answered_by_exchange(options, destination):
        return None
    from sinchphone.media.local_audio.devices.sound_cards import list_devices

    try:
        devices = await asyncio.to_thread(list_devices)
    except DeviceError as error:
        return Warned(message=f"{error}: checking the line with tones instead, for some seconds", hint=error.hint or None)
    if any(device.inputs or device.outputs for device in devices):
        return None
    return Warned(message="no sound device: checking the line with tones instead, for some seconds", hint=hint_of_code(ExitCode.DEVICE))


def _answered_by_exchange(options: Options, destination: Destination) -> bool:
    from sinchphone.exchange.destinations.dialplan import plan_for
    from sinchphone.exchange.refusals import RefusedError
    from sinchphone.signaling.dialect import Domain

    if options.environment is not Place.LOCAL:
        return False
    domain = {Kind.USER: Domain.MXP, Kind.PHONE: Domain.PSTN}.get(destination.kind)
    try:
        return domain is not None and plan_for(domain, destination.identity) is not None
    except RefusedError:
        return False
