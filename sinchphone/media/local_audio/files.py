"""Sound files: decodes anything PyAV opens to the one format, and encodes recordings.

::

    path, FIFO or "-" -> AudioReader.blocks() -> 48 kHz mono int16
    48 kHz int16, one or two channels -> AudioWriter.write() -> .wav, .ogg (Opus), .flac or .mp3

Everything here blocks on the disk: call it in a thread of its own (``media.player``, ``media.recorder``).
"""

import errno
import os
import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.twotrack import Stereo
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio.descriptors import wait_readable
from sinchphone.media.local_audio.wav_header import HEADER_BYTES, lengths
from sinchphone.media.options import NO_OTHER_FILES, STANDARD_INPUT
from sinchphone.media.recording_path import check_free
from sinchphone.quick_dataclass import quick_dataclass

STANDARD_INPUT_DESCRIPTOR = 0
_PIPE_BUFFER_BYTES: Final = 4096  # libav reads ahead by as much: 21 ms of 16-bit stereo
# A pipe is probed with the least that tells the format, so that it sounds after 64 KiB (.wav) or less instead of 5 MiB.
_PIPE_OPTIONS: Final = {**NO_OTHER_FILES, "probesize": "4096", "analyzeduration": "0"}
_FORMATS_HINT: Final = "try a .wav, .ogg, .flac or .mp3 file"
_RATES: Final = range(1_000, 768_001)  # [Hz] beyond, a few bytes become minutes of samples, or a resampler of hundreds of megabytes
_CHANNELS: Final = range(1, 65)
_PACKETS_IN_VAIN: Final = 1_000  # in a row without any sound: nothing more is to be expected
_MOV: Final = "mov,mp4"
_EXACT: Final = ("wav", "w64", "aiff", "au", "caf", "flac", _MOV)  # formats that say how many samples there are; others guess
_UNKNOWN_BYTES: Final = 0x7FFF_0000  # what is written to a pipe has its largest size in its header: sox 2^31, ffmpeg 2^32
_MISSING_END_SECONDS: Final = 0.5  # headers round the length, encoders pad: less than this is not "cut short"


def display_name(path: str) -> str:
    """How a sentence calls the file."""
    return "standard input" if path == STANDARD_INPUT else path


def is_live(path: str) -> bool:
    """Whether the sound arrives while it is played: standard input and FIFOs. Nothing may wait for these."""
    return path == STANDARD_INPUT or Path(path).is_fifo()


class _Pipe:
    """A readable file descriptor for libav: gives what is there without waiting for a full buffer, and can be closed meanwhile."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._closed = False

    def read(self, size: int) -> bytes:
        # Windows can't wait for pipes: there a closed reader ends with the next bytes.
        while not self._closed:
            if sys.platform == "win32" or wait_readable(self._descriptor, 0.1):
                return os.read(self._descriptor, size)
        return b""

    def close(self) -> None:
        self._closed = True


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turns what Python and libav raise about ``path`` into AudioFileError."""
    name = display_name(path)
    try:
        yield
    except FileNotFoundError as error:
        raise AudioFileError(f"{name}: there is no such file", hint="check the path") from error
    except IsADirectoryError as error:
        raise AudioFileError(f"{name} is a folder", hint="name a file") from error
    except PermissionError as error:
        raise AudioFileError(f"{name} may not be read", hint="check who may read the file") from error
    except av.FFmpegError as error:
        raise AudioFileError(f"{name} is not audio that can be played", hint=_FORMATS_HINT) from error
    except OSError as error:
        raise AudioFileError(f"{name} can't be read: {error.strerror or error}") from error
    except Exception as error:  # PyAV on hostile content: IndexError, MemoryError, NotImplementedError, RecursionError were seen
        raise AudioFileError(f"{name} is not audio that can be played", hint=_FORMATS_HINT) from error


class AudioReader:
    """Decodes one file, piece by piece: read all blocks, then close, in one thread. Making one touches nothing.

    ``damage`` says at the end, in words that follow the file's name, what was wrong with a file that played all the same.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.damage: str | None = None
        self._stopped = False
        self._resampler: AudioResampler | None = None
        self._shape: tuple[int, str] | None = None  # rate and layout of what the resampler takes
        self._source: BinaryIO | _Pipe | None = None
        self._container: InputContainer | None = None

    def _open(self) -> InputContainer:
        """Finds the sound in the file."""
        self._source = _open_source(self.path)
        if self._stopped:
            self._source.close()
        live = is_live(self.path)
        with _explained(self.path):
            self._container = av.open(
                cast(Any, self._source),
                options=_PIPE_OPTIONS if live else NO_OTHER_FILES,
                buffer_size=_PIPE_BUFFER_BYTES if live else 32_768,
            )
        if not self._container.streams.audio:
            raise AudioFileError(f"{display_name(self.path)} has no sound in it", hint=_FORMATS_HINT)
        with _explained(self.path):
            stream = self._container.streams.audio[0]
            shape = stream.rate, stream.channels
        if shape[0] not in _RATES or shape[1] not in _CHANNELS:
            raise AudioFileError(f"{display_name(self.path)} claims {shape[0]} Hz and {shape[1]} channels: that can't be played")
        return self._container

    def blocks(self) -> Iterator[Samples]:
        """The sound, in pieces of libav's size (a few ms to a tenth of a second).

        Raises AudioFileError where there is no file, no sound in it, or nothing that can be decoded.
        """
        container, decoded = self._open(), 0
        for block in self._decode(container):
            decoded += len(block)
            yield block
        if not decoded and not self._stopped:
            raise self._no_sound(container)
        declared = _promised_seconds(container)
        if declared is not None and not is_live(self.path) and declared - decoded / RATE > _MISSING_END_SECONDS:
            self.damage = f"ends after {decoded / RATE:.1f} of {declared:.1f} seconds: it is cut short"

    def _no_sound(self, container: InputContainer) -> AudioFileError:
        if is_live(self.path) and container.format.name.startswith(_MOV):
            words = f"{display_name(self.path)} has its index at the end and can't be played as it arrives"
            return AudioFileError(words, hint="name the file itself, or write it with its index first (ffmpeg -movflags faststart)")
        return AudioFileError(f"{display_name(self.path)} holds no sound: it is empty or cut short")

    def _decode(self, container: InputContainer) -> Iterator[Samples]:
        """A packet that can't be decoded is left out, a file that breaks off ends there, as does one in which nothing can be decoded any
        more."""
        packets, in_vain = container.demux(container.streams.audio[0]), 0
        while not self._stopped and in_vain < _PACKETS_IN_VAIN:
            try:
                packet = next(packets, None)
            except Exception:  # noqa: BLE001 - see ``_explained``
                self.damage = "is damaged and ends early"
                packet = None
            if packet is None:
                break
            frames = self._decode_packet(packet)
            in_vain = 0 if frames else in_vain + 1
            for frame in frames:
                yield from self._resample(frame)
        yield from self._resample(None)

    def _decode_packet(self, packet: "Packet[Any]") -> list[AudioFrame]:
        try:
            return cast(list[AudioFrame], packet.decode())
        except Exception:  # noqa: BLE001 - see ``_explained``
            self.damage = "is damaged: parts of it were left out"
            return []

    def _resample(self, frame: AudioFrame | None) -> Iterator[Samples]:
        """A stream may change its rate or layout on the way: then a new resampler goes on."""
        shape = None if frame is None else (frame.sample_rate, frame.layout.name)
        if frame is not None and frame.sample_rate not in _RATES:
            self.damage = "is damaged: parts of it were left out"
            return
        if shape is not None and self._shape not in (None, shape):
            yield from self._converted(None)
            self._resampler = None
        self._shape = shape or self._shape
        yield from self._converted(frame)

    def _converted(self, frame: AudioFrame | None) -> Iterator[Samples]:
        try:
            pieces = [piece.to_ndarray() for piece in self._converter().resample(frame)]
        except Exception:  # noqa: BLE001 - see ``_explained``
            self.damage, self._resampler = "is damaged: parts of it were left out", None
            return
        for piece in pieces:
            yield piece.reshape(-1).astype(np.int16, copy=False)

    def _converter(self) -> AudioResampler:
        if self._resampler is None:
            self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        return self._resampler

    def stop(self) -> None:
        """Makes ``blocks`` end soon. Any thread."""
        self._stopped = True
        if isinstance(self._source, _Pipe):
            self._source.close()

    def close(self) -> None:
        """Close the file."""
        self._stopped = True
        if self._container is not None:
            self._container.close()
        if self._source is not None:
            self._source.close()


def _promised_seconds(container: InputContainer) -> float | None:
    """How long the sound is by its own header; ``None`` where that is a guess, or of another stream (a longer picture)."""
    stream = container.streams.audio[0]
    if not container.format.name.startswith(_EXACT) or stream.duration is None or stream.time_base is None:
        return None
    seconds = float(stream.duration * stream.time_base)
    declared_bytes = seconds * (stream.codec_context.bit_rate or 0) / 8
    return seconds if declared_bytes < _UNKNOWN_BYTES else None


def _open_source(path: str) -> BinaryIO | _Pipe:
    if path == STANDARD_INPUT:
        return _Pipe(STANDARD_INPUT_DESCRIPTOR)
    with _explained(path):
        if is_live(path):
            return _Pipe(os.open(path, os.O_RDONLY))
        return Path(path).open("rb")


def check(path: str) -> None:
    """Opens a file and decodes its first piece; raises AudioFileError. Live sources are not touched: they can be read only once."""
    if path == STANDARD_INPUT and sys.stdin is None:
        raise AudioFileError("standard input is closed", hint="pipe a sound file into it, or name one")
    with _explained(path):
        if is_live(path):
            return
    reader = AudioReader(path)
    try:
        next(reader.blocks())
    finally:
        reader.close()


def decode(path: str, *, max_seconds: float = 600.0) -> Samples:
    """A whole file, at most ``max_seconds`` of it: a small one can hold hours of silence. Blocks; raises AudioFileError."""
    reader, pieces, samples = AudioReader(path), [silence(0)], 0
    try:
        for block in reader.blocks():
            pieces.append(block)
            samples += len(block)
            if samples >= max_seconds * RATE:
                break
    finally:
        reader.close()
    return np.concatenate(pieces)[: int(max_seconds * RATE)]


@quick_dataclass(frozen=True, slots=True)
class _FileFormat:
    container: str
    codec: str
    container_options: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


# 96 kbit/s keeps Opus from folding the two sides into one; rf64 lets a recording grow beyond 4 GiB (6.2 hours); what a process
# that is killed loses of Ogg is a page that isn't full yet and one that libav holds back: of 200 ms [us] each, they cost 1.5 kbit/s.
ENCODINGS: Final = {
    ".wav": _FileFormat("wav", "pcm_s16le", {"rf64": "auto"}),
    ".flac": _FileFormat("flac", "flac"),
    ".ogg": _FileFormat("ogg", "libopus", {"page_duration": "200000"}, {"b": "96000", "application": "audio"}),
    ".mp3": _FileFormat("mp3", "libmp3lame", {}, {"b": "96000"}),
}
RECORDING_KINDS: Final = (".wav", ".ogg", ".flac")  # that people record to


def check_recording(path: Path, *, force: bool, kinds: Container[str] = RECORDING_KINDS) -> None:
    """Raises AudioFileError where no recording can be put at ``path``: unknown ending, no such folder, or taken and not ``force``."""
    try:
        _check_recording(path, force, kinds)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise _unwritable(path, error) from error


def _check_recording(path: Path, force: bool, kinds: Container[str]) -> None:
    if path.suffix.lower() not in kinds:
        raise AudioFileError(f"{path}: a recording must end in .wav, .ogg or .flac", hint="choose one of these endings")
    check_free(path, force=force)


def _unwritable(path: Path, error: Exception, *, begun: bool = False) -> AudioFileError:
    """``begun``: some of it was written."""
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT):
        return AudioFileError(f"the disk is full: {path} {'ends here' if begun else 'was not written'}", hint="free some space")
    return AudioFileError(f"{path} can't be written: {getattr(error, 'strerror', None) or error}")


class _Disk:
    """A new file for libav. The first failure is kept in ``failure`` and ends the file there: libav itself sees none and can still
    put the lengths into the header of what was written."""

    def __init__(self, path: Path) -> None:
        self.failure: OSError | None = None
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)  # what people say is for its owner, as in a pipe's file
        self.size = 0

    def write(self, content: bytes) -> int:
        position = self._file.tell()
        if self.failure is not None and position + len(content) > self.size:
            return len(content)
        try:
            self._write_all(memoryview(content))
        except OSError as error:
            self.failure = self.failure or error
        self.size = max(self.size, self._file.tell())
        return len(content)

    def _write_all(self, content: memoryview) -> None:
        while content:
            content = content[self._file.write(content) :]

    def tell_lengths(self) -> None:
        """Have the header tell what is there by now: a process that is killed doesn't come to it."""
        position = self._file.tell()
        self._file.seek(0)
        for offset, length in lengths(self._file.read(HEADER_BYTES), self.size):
            self._file.seek(offset)
            self.write(length)
        self._file.seek(position)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class AudioWriter:
    """Encodes 48 kHz, stereo or mono, into ``file`` (a new one, made here); ``kind`` is one of ENCODINGS. Raises AudioFileError,
    which speaks of ``name`` where the file will get another name in the end."""

    def __init__(self, file: Path, kind: str, *, name: Path | None = None, channels: int = 2) -> None:
        encoding = ENCODINGS[kind.lower()]
        self._layout = "mono" if channels == 1 else "stereo"
        self._path = name or file
        self._written = 0
        try:
            self._disk = _Disk(file)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        try:
            self._container = av.open(cast(Any, self._disk), "w", format=encoding.container, container_options=encoding.container_options)
            self._stream = cast(
                AudioStream, self._container.add_stream(encoding.codec, rate=RATE, layout=self._layout, options=encoding.options)
            )
        except (av.FFmpegError, ValueError) as error:
            self._disk.close()
            file.unlink()
            raise _unwritable(self._path, error) from error

    @property
    def seconds(self) -> float:
        """How much sound was written; none, where the disk took nothing of what an encoder still held."""
        return self._written / RATE if self._disk.failure is None or self._disk.size else 0.0

    def write(self, block: Stereo) -> None:
        """The next samples, any number of them, a column a channel."""
        if not len(block):
            return
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="s16", layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._written, Fraction(1, RATE)
        self._encode(frame)
        if self._written // RATE < (self._written + len(block)) // RATE:
            self._disk.tell_lengths()
        self._written += len(block)

    def close(self) -> None:
        """Finish the file. Raises AudioFileError; the file is closed in any case."""
        try:
            if self._written:
                self._encode(None)
        finally:
            self._container.close()
            self._disk.close()

    def _encode(self, frame: AudioFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, ValueError) as error:
            raise _unwritable(self._path, error, begun=self.seconds > 0) from error
        if self._disk.failure is not None:
            raise _unwritable(self._path, self._disk.failure, begun=self.seconds > 0) from self._disk.failure
