"""The MXP legs' side of the media: ports that only carry descriptions, for calls whose sound runs through a relay or a seat.

::

    engine.Call -> DoorPort.answer  waits for  <- give(sdp)       (incoming: the answer comes late)
    engine.Call -> DoorPort.offer / accept     -> BranchRings     (outgoing: each device that rings is a branch)
    engine.Call -> DoorSound.connect(leg)      -> which branch the call is with
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from sinchphone.audio.frame import Frame, Samples, silence
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import MediaPort, PortEvent, PortOptions, PortStats
from sinchphone.media.sound import Leg, Levels, Signal, SoundEvent
from sinchphone.protocol.jsep import Candidate, Description

NO_SOUND: Final = Levels(float("-inf"), float("-inf"))

OnAnswer = Callable[[str, str], None]  # branch, SDP
OnCandidate = Callable[[str, Candidate | None], None]  # branch
OnOffer = Callable[[str, str], Awaitable[str]]  # branch, SDP; gives the answer, or raises MediaError


class _DoorLeg:
    """The sound face of a port that has no sound; it names the branch."""

    def __init__(self, branch: str) -> None:
        self.branch = branch

    def send(self, frame: Frame) -> None:
        """The relay carries the sound."""

    def pull(self, samples: int) -> Samples:
        """Silence."""
        return silence(samples)


class Door:
    """Makes the ports of one leg (implements ``media.port.Ports``). Its descriptions come from and go to somewhere else."""

    def __init__(self, *, on_answer: OnAnswer, on_candidate: OnCandidate, on_offer: OnOffer) -> None:
        self.description: asyncio.Future[Description] = asyncio.get_running_loop().create_future()
        self.on_answer = on_answer
        self.on_candidate = on_candidate
        self.on_offer = on_offer  # a later one
        self.branches: dict[str, DoorPort] = {}

    def port(self, options: PortOptions) -> "DoorPort":
        """A port for one more device."""
        branch = str(len(self.branches) + 1)
        port = self.branches[branch] = DoorPort(self, branch)
        return port

    def give(self, description: Description) -> None:
        """The description that the ports say; the first one counts."""
        if not self.description.done():
            self.description.set_result(description)

    def tell(self, event: PortEvent, branch: str = "") -> None:
        """What happens to the media, of that branch or of the only one."""
        port = self.branches.get(branch or "1")
        if port is not None:
            port.tell(event)


class DoorPort:
    """Implements ``media.port.PassingPort`` as far as a call that is bridged uses it."""

    codec = None

    def __init__(self, door: Door, branch: str) -> None:
        self._door = door
        self._branch = branch
        self._events = Outbox[PortEvent]()
        self._leg = _DoorLeg(branch)
        self._answered = False

    async def offer(self) -> Description:
        """What was given."""
        return await asyncio.shield(self._door.description)

    async def fork(self) -> MediaPort:
        """A port for one more device that answers the same offer."""
        return self._door.port(PortOptions())

    async def accept(self, answer: Description) -> None:
        """Told on; the relay judges it."""
        self._answered = True
        self._door.on_answer(self._branch, answer.sdp)

    async def answer(self, offer: Description, *, prefer: str | None = None) -> Description:
        """What will be given; to a later offer, what is said to that. Raises MediaError where it's refused."""
        if self._answered:
            return Description("answer", await self._door.on_offer(self._branch, offer.sdp))
        self._answered = True
        return await asyncio.shield(self._door.description)

    async def restart(self) -> Description:
        """Raises LocalProtocolError: the relay's ports are another's."""
        raise LocalProtocolError("a bridged leg isn't restarted from here")

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Told on."""
        self._door.on_candidate(self._branch, candidate)

    async def dtmf(self, digits: str) -> None:
        """Digits are the relay's."""
        raise MediaError("a bridged leg sends no digits of its own")

    def divert(self, sink: object) -> None:
        """Nothing comes."""

    def forward(self, frame: object) -> bool:
        """Nothing goes."""
        return False

    def events(self) -> AsyncIterator[PortEvent]:
        """What the relay says about this side."""
        return self._events

    def tell(self, event: PortEvent) -> None:
        """The next event."""
        self._events.put(event)

    @property
    def leg(self) -> Leg:
        """Silent."""
        return self._leg

    async def stats(self) -> PortStats:
        """The relay counts."""
        return PortStats()

    async def close(self) -> None:
        """No more events."""
        self._events.end()


class DoorSound:
    """Implements ``media.sound.Sound`` for a call without sound here; says which branch the call is with."""

    def __init__(self, on_chosen: Callable[[str], None] | None = None) -> None:
        self._on_chosen = on_chosen
        self._events = Outbox[SoundEvent]()

    async def open(self) -> None:
        """Nothing to take."""

    async def connect(self, leg: Leg, *, early: bool = False) -> None:
        """The call is with that branch."""
        if self._on_chosen is not None and not early and isinstance(leg, _DoorLeg):
            self._on_chosen(leg.branch)

    async def signal(self, signal: Signal | None) -> bool:
        """Nobody listens."""
        return False

    def mute(self, muted: bool) -> None:
        """Nobody speaks."""

    def levels(self) -> Levels:
        """Silence."""
        return NO_SOUND

    def events(self) -> AsyncIterator[SoundEvent]:
        """Nothing happens."""
        return self._events

    async def close(self) -> None:
        """Nothing was taken."""
        self._events.end()
