"""Two ports that are joined in memory: what one sends the other pulls, frame by frame, and digits come as they are.

::

    one.leg.send -> frames -> other.leg.pull        one.dtmf -> other's events: PortDigitHeard
    other.leg.send -> frames -> one.leg.pull
"""

import asyncio
from collections import deque
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.media.outbox import Outbox
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.port import Connected, MediaPort, PortDigitHeard, PortEvent, PortStats
from sinchphone.media.sound import AudioLeg
from sinchphone.protocol.rtp.telephone_event import PAUSES
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.protocol.sdp.session_description import SENDRECV

CODEC: Final = "memory"
DESCRIPTION: Final = "v=0 in memory"  # nobody reads it: the ports are joined already
DIGIT_SECONDS: Final = 0.1  # how long a digit takes, as its tone would
MAX_WAITING: Final = 5  # frames: the two ends have clocks of their own
_KEPT_BACK: Final = 2  # after a gap, so that the next one is no gap too


class MemoryLeg:
    """Implements ``media.sound.AudioLeg``. Sent to and pulled from in the media thread."""

    def __init__(self, near: deque[Frame], far: deque[Frame]) -> None:
        self._near, self._far = near, far
        self._rest = silence(0)
        self._ready = False  # enough has come since the last gap
        self._heard = False

    def send(self, frame: Frame) -> None:
        """The next 20 ms for the other end; the oldest that waits is dropped where it takes none."""
        self._near.append(frame.copy())

    def pull(self, samples: int) -> Samples:
        """The next of what the other end says; silence where it says nothing."""
        self._ready = self._ready or len(self._far) >= _KEPT_BACK
        pieces, missing = [self._rest], samples - len(self._rest)
        while missing > 0:
            if not self._ready or not self._far:
                self._ready = False
                pieces.append(silence(missing))
                break
            self._heard = True
            pieces.append(self._far.popleft())
            missing -= FRAME_SAMPLES
        joined = np.concatenate(pieces)
        self._rest = joined[samples:]
        said: Samples = joined[:samples]
        return said

    def is_missing(self) -> bool:
        """Whether nothing came yet."""
        return not self._heard


class MemoryPort:
    """Implements ``media.port.MediaPort`` and ``relay.terminations.RenewablePort``. Made in pairs by ``joined_ports``."""

    def __init__(self, near: deque[Frame], far: deque[Frame]) -> None:
        self._leg = MemoryLeg(near, far)
        self._events: Outbox[PortEvent] = Outbox()
        self._other: MemoryPort | None = None
        self._turn = asyncio.Lock()
        self._pictures = PictureLeg()

    def join(self, other: "MemoryPort") -> None:
        """What this one sends is the other's from now on."""
        self._other = other

    async def offer(self, *, direction: str = SENDRECV) -> Description:
        """A description that says nothing."""
        return Description("offer", DESCRIPTION)

    async def fork(self) -> MediaPort:
        """Itself: one end is there."""
        return self

    async def accept(self, answer: Description) -> None:
        """The other end is there: sound can flow."""
        self._connect()

    async def answer(self, offer: Description) -> Description:
        """The other end is there: sound can flow."""
        self._connect()
        return Description("answer", DESCRIPTION)

    async def reanswer(self, offer: Description, *, direction: str = SENDRECV) -> Description:
        """Nothing changes."""
        return Description("answer", DESCRIPTION)

    async def restart(self) -> Description:
        """Nothing changes."""
        return Description("offer", DESCRIPTION)

    async def reoffer(self, *, direction: str = SENDRECV) -> Description:
        """Nothing changes."""
        return Description("offer", DESCRIPTION)

    async def withdraw(self) -> None:
        """Nothing was changed."""

    async def trust_source(self, host: str) -> None:
        """Nothing comes from a network."""

    @property
    def direction(self) -> str:
        """Both ways, always."""
        return SENDRECV

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """There are no networks to look for."""

    async def dtmf(self, digits: str) -> None:
        """Tell the other end, one after the other."""
        async with self._turn:
            for digit in digits:
                await asyncio.sleep(PAUSES.get(digit, DIGIT_SECONDS))
                if digit not in PAUSES and self._other is not None:
                    self._other.hear(digit)

    def hear(self, digit: str) -> None:
        """The other end pressed a key."""
        self._events.put(PortDigitHeard(digit=digit, duration_ms=int(DIGIT_SECONDS * 1000)))

    def events(self) -> Outbox[PortEvent]:
        """Connected, once, and digits."""
        return self._events

    @property
    def leg(self) -> AudioLeg:
        """The sound face."""
        return self._leg

    @property
    def pictures(self) -> PictureLeg:
        """There are none."""
        return self._pictures

    async def stats(self) -> PortStats:
        """There is nothing to count."""
        return PortStats(codec=CODEC)

    async def close(self) -> None:
        """Nothing more happens. May be called twice."""
        self._events.end()

    def _connect(self) -> None:
        self._events.put(Connected(pair="host", codec=CODEC))


def joined_ports() -> tuple[MemoryPort, MemoryPort]:
    """Two ports, each the other's peer."""
    there: deque[Frame] = deque(maxlen=MAX_WAITING)
    back: deque[Frame] = deque(maxlen=MAX_WAITING)
    one, other = MemoryPort(there, back), MemoryPort(back, there)
    one.join(other)
    other.join(one)
    return one, other
