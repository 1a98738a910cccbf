"""The echo of a scene of echo.py removed by libwebrtc's processing as PyPI's livekit has it: its canceller and high-pass.

usage: python echo_livekit.py FOLDER PPM        with the interpreter of an environment that livekit is installed in

FOLDER holds captured.raw and far.raw; sent.raw is written there. Printed: the CPU of a block of 10 ms [us], crossing to Rust and back
with it.
"""

import sys
import time
from pathlib import Path

from livekit.rtc import AudioFrame, AudioProcessingModule

BLOCK = 480
AHEAD_MS = 20  # blocks that the loudspeaker is ahead


def frame(block: bytes) -> AudioFrame:
    return AudioFrame(bytearray(block), 48_000, 1, BLOCK)


def main(folder: Path, ppm: float) -> None:
    processing = AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
    captured, far, sent, played = (folder / "captured.raw").read_bytes(), (folder / "far.raw").read_bytes(), bytearray(), 0
    begun = time.process_time()
    for start in range(0, len(captured) // 2 - BLOCK + 1, BLOCK):
        while played < (start + 2 * BLOCK) * (1 + ppm * 1e-6) and len(far) >= 2 * (played + BLOCK):
            processing.process_reverse_stream(frame(far[2 * played : 2 * (played + BLOCK)]))
            played += BLOCK
        heard = frame(captured[2 * start : 2 * (start + BLOCK)])
        processing.set_stream_delay_ms(AHEAD_MS)
        processing.process_stream(heard)
        sent += bytes(heard.data)
    (folder / "sent.raw").write_bytes(sent)
    print(1e6 * (time.process_time() - begun) * BLOCK / (len(captured) // 2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
