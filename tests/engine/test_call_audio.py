"""A recording that is stopped while its file is made: nothing is left of it."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.calls.media.audio import CallAudio
from sinchphone.engine.calls.unheard import Unheard
from sinchphone.errors import LocalProtocolError
from sinchphone.media.local_audio.recorder import Recorder
from sinchphone.tasks import start_task


@pytest.mark.parametrize("ends", [True, False])
async def test_what_ends_a_recording_while_its_file_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    making, may_go_on = threading.Event(), threading.Event()
    make = Recorder.open

    def slow(recorder: Recorder) -> None:
        making.set()
        assert may_go_on.wait(10)
        make(recorder)

    monkeypatch.setattr(Recorder, "open", slow)
    told: list[Any] = []
    audio = CallAudio(Unheard(), told.append)
    recording = start_task(audio.record(str(tmp_path / "call.wav")), name="record")
    await asyncio.to_thread(making.wait, 10)
    await (audio.close() if ends else audio.stop_recording())
    audio.begin()
    may_go_on.set()
    if ends:
        with pytest.raises(LocalProtocolError, match="over"):
            await recording
    else:
        await recording
    assert not list(tmp_path.iterdir())
    assert not told
