"""Files and test pictures in place of a camera, and what becomes of them in a call."""

import asyncio
import os
import socket
import threading
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from sinchphone.errors import AudioFileError
from sinchphone.media.local_video.local_video import LocalVideo
from sinchphone.media.local_video.sources import BarCodeSource, FileSource
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.pictures.pictures import PictureEvent, PictureOptions, PicturesFinished, PictureWarning
from sinchphone.picture.bar_code import PictureCode, draw_code, read_code
from sinchphone.picture.frame import Picture


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Ten test pictures, 25 a second."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.options = {"tune": "zerolatency", "preset": "ultrafast"}
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(draw_code(PictureCode(number, 5), 320, 180).planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_file_is_shown_at_its_own_pace_to_its_end(film: Path) -> None:
    source = FileSource(str(film))
    assert source.open() == (320, 180, 25.0)
    began, seen = time.monotonic(), []
    while (picture := source.read()) is not None:
        seen.append(read_code(picture))
    source.release()
    assert seen == [PictureCode(number, 5) for number in range(10)]
    assert time.monotonic() - began >= 0.34


def test_what_has_no_pictures_is_told_before_the_call(tmp_path: Path) -> None:
    text = tmp_path / "text.mkv"
    text.write_text("no film")
    with pytest.raises(AudioFileError):
        FileSource(str(text)).open()
    for path in (text, tmp_path / "missing.mkv"):
        with pytest.raises(AudioFileError):
            asyncio.run(LocalVideo(PictureOptions(play=str(path))).open())


PLAYLISTS = {
    "list.ffconcat": "ffconcat version 1.0\nfile {film}\n",
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_opens_no_other_file(film: Path, name: str) -> None:
    transport_stream = film.with_suffix(".ts")
    with av.open(str(film)) as source, av.open(str(transport_stream), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    playlist = film.parent / name
    playlist.write_text(PLAYLISTS[name].format(film=transport_stream.name))
    with pytest.raises(AudioFileError) as refusal:
        FileSource(str(playlist)).open()
    assert "playlists" in refusal.value.hint


def test_a_name_is_no_address_or_protocol_of_ffmpeg(film: Path) -> None:
    asked: list[object] = []

    def refuse() -> None:
        with suppress(OSError):
            while True:
                connection, address = server.accept()
                asked.append(address)
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        refusing = threading.Thread(target=refuse)
        refusing.start()
        for name in (
            f"http://127.0.0.1:{server.getsockname()[1]}/film.mkv",
            f"concat:{film}",
            f"file:{film}",
            f"subfile,,start,0,end,0,,:{film}",
        ):
            with pytest.raises(AudioFileError):
                FileSource(name).open()
        server.shutdown(socket.SHUT_RDWR)
    refusing.join()
    assert not asked


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
def test_a_fifo_is_shown_as_it_arrives_and_let_go_of(film: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(film.read_bytes()))
    writer.start()
    source = FileSource(str(fifo))
    assert source.open() == (320, 180, 25.0)
    first = source.read()
    assert first is not None and read_code(first) == PictureCode(0, 5)
    while source.read() is not None:
        pass
    opened = source._file
    source.release()
    writer.join()
    assert opened.closed


def test_a_test_picture_counts_by_the_clock_and_ends_when_it_is_closed() -> None:
    source = BarCodeSource(9)
    assert source.open() == (640, 360, 15.0)
    first, second = source.read(), source.read()
    assert first is not None and second is not None
    codes = read_code(first), read_code(second)
    assert codes[0] == PictureCode(0, 9) and codes[1] is not None and codes[1].number >= 1
    source.close()
    assert source.read() is None


async def shown(options: PictureOptions, enough: int) -> tuple[list[Picture], list[PictureEvent], LocalVideo]:
    video, leg, sent = LocalVideo(options), PictureLeg(), list[Picture]()
    leg.join(sent.append, lambda *_: None)
    await video.open()
    assert video._thread is None  # nothing is opened before the call is answered
    await video.connect(leg)
    async with asyncio.timeout(10):
        while len(sent) < enough:
            await asyncio.sleep(0.02)
    await video.close()
    return sent, [event async for event in video.events()], video


async def test_the_last_picture_of_a_file_stays(film: Path) -> None:
    sent, events, _ = await shown(PictureOptions(play=str(film)), 12)
    assert [read_code(one) for one in sent[-2:]] == 2 * [PictureCode(9, 5)]
    assert events == [PicturesFinished(path=str(film))]


async def test_without_any_camera_the_call_goes_on_with_one_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    from sinchphone.media.local_video import cameras

    monkeypatch.setattr(cameras, "list_cameras", list)
    video = LocalVideo(PictureOptions())
    await video.open()
    await video.connect(PictureLeg())
    await video.close()
    assert [type(event) for event in [event async for event in video.events()]] == [PictureWarning]
