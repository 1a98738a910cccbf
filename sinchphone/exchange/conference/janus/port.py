"""A participant's media that Janus has: descriptions and candidates go there, sound never comes here.

::

    caller's offer -> join -> Janus' answer with its candidates      webrtcup -> Connected      hangup, gone -> PortLost
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sinchphone.audio.frame import Frame, Samples, silence
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.exchange.conference.janus.link import LINK_GONE, Hear
from sinchphone.exchange.conference.janus.room import Joined
from sinchphone.media.outbox import Outbox
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.port import Connected, MediaPort, PortEvent, PortFailed, PortLost, PortOptions, PortStats
from sinchphone.protocol.sdp.jsep import Candidate, Description

CODEC: Final = "opus"
_OTHERS: Final = "Janus has that side's sound"

Enter = Callable[[str, Hear], Awaitable[Joined]]  # with an offer


class ElsewhereLeg:
    """The sound face of a leg whose sound is at Janus (implements ``media.sound.AudioLeg``)."""

    def send(self, frame: Frame) -> None:
        """Nobody hears it."""

    def pull(self, samples: int) -> Samples:
        """Silence."""
        return silence(samples)

    def is_missing(self) -> bool:
        """Never here."""
        return False


class JanusPort:
    """Implements media.port.MediaPort for a caller. ``enter`` brings them in."""

    def __init__(self, enter: Enter) -> None:
        self._enter = enter
        self._joined: Joined | None = None
        self._early: list[Candidate | None] = []
        self._is_connected = False
        self._events: Outbox[PortEvent] = Outbox()
        self.leg = ElsewhereLeg()
        self.pictures = PictureLeg()

    async def answer(self, offer: Description) -> Description:
        """Janus' answer. Raises MediaError where nothing fits, there is no Janus, or it has no such room."""
        if self._joined is None:
            self._joined = await self._enter(offer.sdp, self._hear)
            answer = self._joined.answer
            early, self._early = self._early, []
            for candidate in early:
                await self.add_candidate(candidate)
        else:
            _, answer = await self._joined.handle.request("configure", offer=offer.sdp, update=True)
        if not answer:
            raise MediaError("Janus gave no session description")
        return Description("answer", answer)

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Tell Janus, once the caller is in."""
        if self._joined is None:
            self._early.append(candidate)
        elif candidate is None or not candidate.candidate:
            await self._joined.handle.trickle({"completed": True})
        else:
            told = {"candidate": candidate.candidate, "sdpMid": candidate.sdp_mid, "sdpMLineIndex": candidate.sdp_mline_index}
            await self._joined.handle.trickle({name: value for name, value in told.items() if value is not None})

    def _hear(self, said: Mapping[str, Any]) -> None:
        """What happens to the caller at Janus."""
        kind = said["janus"]
        if kind == "webrtcup" and not self._is_connected:
            self._is_connected = True
            self._events.put(Connected(pair="host", codec=CODEC))
        elif kind in ("hangup", "detached", "gone") or is_over(said):
            reason = str(said.get("reason", LINK_GONE))
            self._events.put(PortLost(silent_s=0.0) if self._is_connected else PortFailed(reason=reason[:200]))

    async def offer(self) -> Description:
        """Raises LocalProtocolError: Janus answers."""
        raise LocalProtocolError(_OTHERS)

    async def fork(self) -> MediaPort:
        """Raises LocalProtocolError."""
        raise LocalProtocolError(_OTHERS)

    async def accept(self, answer: Description) -> None:
        """Raises LocalProtocolError."""
        raise LocalProtocolError(_OTHERS)

    async def restart(self) -> Description:
        """Raises LocalProtocolError: the caller restarts ICE."""
        raise LocalProtocolError(_OTHERS)

    async def reoffer(self, *, direction: str = "sendrecv") -> Description:
        """Raises LocalProtocolError."""
        raise LocalProtocolError(_OTHERS)

    @property
    def direction(self) -> str:
        """Both ways."""
        return "sendrecv"

    async def dtmf(self, digits: str) -> None:
        """Raises MediaError: Janus sends none."""
        raise MediaError("a room on Janus sends no digits")

    def events(self) -> Outbox[PortEvent]:
        """Connected, and that it's over. One reader."""
        return self._events

    async def stats(self) -> PortStats:
        """Nothing is counted here."""
        return PortStats(codec=CODEC)

    async def close(self) -> None:
        """Nothing more is told; the seat leaves."""
        self._events.end()


class JanusPorts:
    """Makes the port of one caller."""

    def __init__(self, enter: Enter) -> None:
        self._enter = enter

    def port(self, options: PortOptions) -> JanusPort:
        """A new port; how the caller is reached is Janus' own configuration."""
        return JanusPort(self._enter)


def plugin_data(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the AudioBridge says in an event."""
    data: Mapping[str, Any] = said.get("plugindata", {}).get("data", {})
    return data


def is_over(said: Mapping[str, Any]) -> bool:
    """Whether somebody else at Janus has kicked whoever hears that, or destroyed the room."""
    data = plugin_data(said)
    return data.get("audiobridge") == "destroyed" or "kicked_all" in data
