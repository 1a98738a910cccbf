"""The options of commands that call, listen, write and host, each written once."""

import dataclasses
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer

from sinchphone.cli.addressing import proposals
from sinchphone.cli.terminal.flags.common import JsonFlags, check_key, option_of_key, option_of_number, option_of_words
from sinchphone.cli.terminal.flags.shared_streams import check_readers, is_standard_input
from sinchphone.media.options import RecordLayout
from sinchphone.options import HooksSection
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import parse_duration


def check_digits(value: str | None) -> str | None:
    """Digits that can be dialled in a call. Raises BadParameter."""
    if value is None:
        return None
    from sinchphone.errors import LocalProtocolError
    from sinchphone.protocol.digits import read_digits

    try:
        return read_digits(value)
    except LocalProtocolError as error:
        raise typer.BadParameter(str(error)) from error


def _duration(value: str | None) -> str | None:
    if value is not None:
        try:
            parse_duration(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return value


def _check_pipe(path: str | None, use: Literal["read", "write"], option: str) -> None:
    """Before anything of ours is opened: a descriptor that nobody gave would soon be one of our own files. Raises BadParameter."""
    if path is None or not path.startswith("fd:"):
        return
    from sinchphone.errors import AudioFileError
    from sinchphone.media.local_audio.descriptors import check_given

    try:
        check_given(path, use, inherited=True)
    except AudioFileError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def read_hooks(written: list[str]) -> dict[str, str]:
    """The keys that ``EVENT=CMD`` each sets. Raises BadParameter."""
    known = [one.name for one in dataclasses.fields(HooksSection) if one.name != "time_limit"]
    hooks: dict[str, str] = {}
    for one in written:
        event, equals, command = one.partition("=")
        if not equals or event not in known or not command.strip():
            raise typer.BadParameter(f"must be EVENT=CMD, with an event of {', '.join(known)}", param_hint="--on")
        if f"hooks.{event}" in hooks:
            raise typer.BadParameter(f"two programs for {event}: one can run the other", param_hint="--on")
        hooks[f"hooks.{event}"] = check_key(f"hooks.{event}", command)
    return hooks


class VideoWindow(StrEnum):
    """How the pictures of a call are seen in the terminal."""

    AUTO = "auto"  # as well as it can show them
    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    NONE = "none"


def seconds(value: str | None) -> float | None:
    """A duration that the command line has checked already."""
    return None if value is None else parse_duration(value)


@quick_dataclass(frozen=True, kw_only=True)
class SoundFlags(JsonFlags):
    """Options of commands that make or take calls: who I am, and what the sound is made of."""

    user: Annotated[str | None, option_of_key("user", "ME", complete=proposals.complete_account)] = None
    play: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Play a file from the answer on; again for more files, - is standard input.")
    ] = None
    hangup_after_play: Annotated[bool, typer.Option("--hangup-after-play", help="Hang up when everything was played.")] = False
    say: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Speak a text after the answer, in English (eSpeak NG), then silence.")
    ] = None
    tone: Annotated[float | None, option_of_number("HZ", "Send a tone", 20, 20_000)] = None
    record: Annotated[str | None, typer.Option(metavar="FILE", help="Record to .wav, .ogg or .flac: near end left, far end right.")] = None
    record_layout: Annotated[RecordLayout, option_of_words(RecordLayout, "HOW", "stereo, or one track: mixed, near or far.")] = (
        RecordLayout.STEREO
    )
    pipe_in: Annotated[
        str | None, typer.Option(metavar="PATH", help="Say raw 48 kHz mono 16-bit sound from a file, a FIFO or fd:N as it arrives.")
    ] = None
    pipe_out: Annotated[str | None, typer.Option(metavar="PATH", help="Write what is heard there, in the same form.")] = None
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing recording or file.")] = False
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Touch no sound card.")] = False
    no_mic: Annotated[bool, typer.Option("--no-mic", help="Send no microphone.")] = False
    mute: Annotated[bool, typer.Option("--mute", help="Send silence until you unmute: m, or a command.")] = False
    input: Annotated[str | None, option_of_key("audio.input", "DEVICE", complete=proposals.complete_input)] = None
    output: Annotated[str | None, option_of_key("audio.output", "DEVICE", complete=proposals.complete_output)] = None
    ring: Annotated[str | None, option_of_key("audio.ring", "DEVICE", complete=proposals.complete_output)] = None
    echo_cancel: Annotated[str | None, option_of_key("audio.echo_cancel", "WHEN")] = None
    noise_suppression: Annotated[str | None, option_of_key("audio.noise_suppression", "HOW")] = None
    gain_control: Annotated[bool | None, option_of_key("audio.gain_control", None, "--gain-control/--no-gain-control")] = None
    max_kbps: Annotated[str | None, option_of_key("audio.max_kbps", "KBPS")] = None
    relay_only: Annotated[bool, option_of_key("ice.relay_only", None, "--relay-only")] = False
    max_duration: Annotated[str | None, option_of_key("max_duration", "TIME")] = None
    dtmf: Annotated[
        str | None, typer.Option(metavar="DIGITS", callback=check_digits, help="Dial these after the answer: 1w2#; w waits 0.5 s, W 1 s.")
    ] = None
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT=CMD",
            help="Run a program when that happens: incoming, established, ended, message, missed (sinchphone help control); repeatable.",
        ),
    ] = None
    control: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Do what JSON lines there say (sinchphone help control): a FIFO, fd:N, or - for standard input."),
    ] = None

    def __post_init__(self) -> None:
        """Raises BadParameter."""
        if sum(value is not None for value in (self.play or None, self.say, self.pipe_in, self.tone)) > 1:
            raise typer.BadParameter("--play, --say, --pipe-in and --tone exclude each other")
        if self.say is not None and not self.say.strip():
            raise typer.BadParameter("there is nothing to say", param_hint="--say")
        paths = (("--record", self.record), ("--pipe-in", self.pipe_in), ("--pipe-out", self.pipe_out))
        for option, path in (*paths, *(("--play", path) for path in self.play or ())):
            if path is not None and not path.strip():
                raise typer.BadParameter("names no file", param_hint=option)
        _check_pipe(self.pipe_in, "read", "--pipe-in")
        _check_pipe(self.pipe_out, "write", "--pipe-out")
        _check_pipe(self.control, "read", "--control")
        read_hooks(self.on or [])
        check_readers(
            [*(("--play", path) for path in self.play or ()), ("--pipe-in", self.pipe_in or ""), ("--control", self.control or "")]
        )
        if self.record_layout is not RecordLayout.STEREO and self.record is None:
            raise typer.BadParameter("--record-layout needs --record")

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        hooks = read_hooks(self.on or [])
        devices = {"audio.input": self.input, "audio.output": self.output, "audio.ring": self.ring}
        voice = {
            "audio.echo_cancel": self.echo_cancel,
            "audio.noise_suppression": self.noise_suppression,
            "audio.gain_control": self.gain_control,
            "audio.max_kbps": self.max_kbps,
        }
        own = {"user": self.user, "max_duration": self.max_duration, "ice.relay_only": self.relay_only or None}
        return {**super().keys(), **hooks, **devices, **voice, **own}

    @property
    def reads_standard_input(self) -> bool:
        """Whether sound or commands come from there, so that no keys can."""
        return any(is_standard_input(path) for path in (*(self.play or ()), self.pipe_in or "", self.control or ""))

    @property
    def say_nothing_of_sound(self) -> bool:
        """Whether the person left it to us what the sound is made of and how long a call lasts."""
        said, kept = (self.play, self.say, self.pipe_in, self.tone), (self.pipe_out, self.record)
        named = (*said, *kept, self.input, self.output, self.ring, self.max_duration, self.control)
        return all(value is None for value in named) and not (self.no_audio or self.no_mic)


@quick_dataclass(frozen=True, kw_only=True)
class VideoFlags(SoundFlags):
    """Options of commands whose calls may have pictures."""

    video: Annotated[bool, typer.Option("--video", help="Call, or take video calls, with pictures: sinchphone help video.")] = False
    camera: Annotated[str | None, option_of_key("video.camera", "CAMERA")] = None
    video_play: Annotated[
        str | None, typer.Option(metavar="FILE", help="Show a file in place of the camera, or a pipe as it arrives; - is standard input.")
    ] = None
    video_test: Annotated[bool, typer.Option("--video-test", help="Show a moving test picture in place of the camera.")] = False
    video_record: Annotated[
        str | None, typer.Option(metavar="FILE", help="Record what is seen of the peer, and both sides' sound, to .mkv or .mp4.")
    ] = None
    video_window: Annotated[VideoWindow, option_of_words(VideoWindow, "HOW", "See them: auto, kitty, iterm2, sixel, blocks or none.")] = (
        VideoWindow.AUTO
    )

    def __post_init__(self) -> None:
        """Raises BadParameter."""
        super().__post_init__()
        named = {"--camera": self.camera, "--video-play": self.video_play, "--video-test": self.video_test or None}
        given = [name for name, value in named.items() if value is not None]
        if len(given) > 1:
            raise typer.BadParameter(f"{' and '.join(given)} exclude each other")
        given += ["--video-record"] if self.video_record is not None else []
        given += ["--video-window"] if self.video_window is not VideoWindow.AUTO else []
        if given and not self.video:
            raise typer.BadParameter(f"{given[0]} needs --video")
        check_readers(
            [
                *(("--play", path) for path in self.play or ()),
                ("--pipe-in", self.pipe_in or ""),
                ("--control", self.control or ""),
                ("--video-play", self.video_play or ""),
            ]
        )

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "video.camera": self.camera}

    @property
    def reads_standard_input(self) -> bool:
        """Whether sound, pictures or commands come from there, so that no keys can."""
        return super().reads_standard_input or is_standard_input(self.video_play or "")


@quick_dataclass(frozen=True, kw_only=True)
class CallFlags(SoundFlags):
    """Options of commands that call."""

    ring_timeout: Annotated[str | None, option_of_key("ring_timeout", "TIME")] = None
    header: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A header for the called side; again for more.")] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "ring_timeout": self.ring_timeout}


@quick_dataclass(frozen=True, kw_only=True)
class PhoneFlags(CallFlags):
    """Options of commands that may call a phone."""

    caller_id: Annotated[str | None, option_of_key("caller_id", "+E164")] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "caller_id": self.caller_id}


@quick_dataclass(frozen=True, kw_only=True)
class VideoCallFlags(VideoFlags, CallFlags):
    """Options of commands that call somebody who may have a screen."""


@quick_dataclass(frozen=True, kw_only=True)
class AnyCallFlags(VideoFlags, PhoneFlags):
    """Options of ``call``."""


@quick_dataclass(frozen=True, kw_only=True)
class AnswerFlags(VideoFlags):
    """Options of commands that take calls."""

    auto_answer: Annotated[
        str | None, typer.Option(metavar="[DELAY]", callback=_duration, help="Answer by itself, at once or after DELAY (2s).")
    ] = None


@quick_dataclass(frozen=True, kw_only=True)
class ListenFlags(AnswerFlags):
    """Options of ``listen``."""

    once: Annotated[bool, typer.Option("--once", help="End after one call that was answered or declined here.")] = False
    count: Annotated[int | None, option_of_number("N", "End after N such calls", 1, whole=True)] = None
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", callback=_duration, help="End after so long: exit 0, or 124 with --once or --count unmet."),
    ] = None
    allow: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Take calls from these only (*, ?, [a-z]); repeatable.")] = None
    deny: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Decline calls from these; repeatable.")] = None
    push: Annotated[bool, typer.Option("--push", help="Sleep until a push tells of a call; messages wait meanwhile.")] = False


@quick_dataclass(frozen=True, kw_only=True)
class PushFlags(AnswerFlags):
    """Options of ``push``."""

    subscribe: Annotated[
        str | None, typer.Option(metavar="FILE", help="Have this user's device woken by a W3C subscription (JSON, as a browser gives it).")
    ] = None
    key: Annotated[bool, typer.Option("--key", help="Print the platform's key that subscriptions are for (applicationServerKey).")] = False


class Wait(StrEnum):
    """What has to come before ``send-message`` ends with 0."""

    DELIVERED = "delivered"
    SENT = "sent"
    NONE = "none"


@quick_dataclass(frozen=True, kw_only=True)
class MessageFlags(JsonFlags):
    """Options of ``send-message``."""

    user: Annotated[
        str | None,
        typer.Option(metavar="ME", autocompletion=proposals.complete_account, help="Who I am; the login name in the local environment."),
    ] = None
    header: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A header for the recipients; again for more.")] = None
    wait: Annotated[
        Wait, option_of_words(Wait, "WHAT", "delivered, sent, or none: what has to come before it ends with 0.", shows_default=True)
    ] = Wait.DELIVERED
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", callback=_duration, help="Wait no longer than that for all of it.  [default: 15s]")
    ] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "user": self.user}


@quick_dataclass(frozen=True, kw_only=True)
class HostFlags(JsonFlags):
    """Options of commands about the process that hosts the exchange."""

    host: Annotated[str | None, option_of_key("exchange.host", "ADDRESS", shows_default=True)] = None
    port: Annotated[int | None, option_of_key("exchange.port", "PORT", "--port", shows_default=True)] = None
    application_key: Annotated[str | None, option_of_key("exchange.application_key", "KEY")] = None
    application_secret_file: Annotated[str | None, option_of_key("exchange.application_secret_file", "FILE")] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        pair = {"exchange.application_key": self.application_key, "exchange.application_secret_file": self.application_secret_file}
        return {**super().keys(), "exchange.host": self.host, "exchange.port": self.port, **pair}


@quick_dataclass(frozen=True, kw_only=True)
class ExchangeFlags(HostFlags):
    """Options of ``exchange``."""

    tls: Annotated[bool, option_of_key("exchange.tls", None, "--tls")] = False
    tls_port: Annotated[int | None, option_of_key("exchange.tls_port", "PORT", shows_default=True)] = None
    line: Annotated[str | None, option_of_key("exchange.line", "FAULTS", "--line")] = None
    trace_sound: Annotated[bool, option_of_key("exchange.trace_sound", None, "--trace-sound")] = False
    drain: Annotated[str | None, option_of_key("exchange.drain", "TIME", shows_default=True)] = None
    log_format: Annotated[str | None, option_of_key("log_format", "FORMAT")] = None
    metrics: Annotated[str | None, option_of_key("exchange.metrics", "ADDRESS:PORT", "--metrics")] = None
    store: Annotated[str | None, option_of_key("exchange.store", "URL", "--store")] = None
    store_password_file: Annotated[str | None, option_of_key("exchange.store_password_file", "FILE")] = None
    store_ca_file: Annotated[str | None, option_of_key("exchange.store_ca_file", "FILE")] = None
    memory: Annotated[bool, typer.Option("--memory", help="Forget users and waiting messages at the end.")] = False

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        tls = {"exchange.tls": self.tls or None, "exchange.tls_port": self.tls_port}
        sound = {"exchange.line": self.line, "exchange.trace_sound": self.trace_sound or None}
        service = {"exchange.drain": self.drain, "exchange.metrics": self.metrics, "log_format": self.log_format}
        shared = {"exchange.store_password_file": self.store_password_file, "exchange.store_ca_file": self.store_ca_file}
        kept = {"exchange.keep": False if self.memory else None, "exchange.store": self.store, **shared}
        return {**super().keys(), **tls, **sound, **service, **kept}


@quick_dataclass(frozen=True, kw_only=True)
class MoveFlags(JsonFlags):
    """Options of ``exchange move``."""

    to: Annotated[str | None, option_of_key("exchange.store", "URL", "--to")] = None
    store_password_file: Annotated[str | None, option_of_key("exchange.store_password_file", "FILE")] = None
    store_ca_file: Annotated[str | None, option_of_key("exchange.store_ca_file", "FILE")] = None
    application_key: Annotated[str | None, option_of_key("exchange.application_key", "KEY")] = None
    application_secret_file: Annotated[str | None, option_of_key("exchange.application_secret_file", "FILE")] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        pair = {"exchange.application_key": self.application_key, "exchange.application_secret_file": self.application_secret_file}
        store = {"exchange.store_password_file": self.store_password_file, "exchange.store_ca_file": self.store_ca_file}
        return {**super().keys(), **pair, **store, "exchange.store": self.to}
