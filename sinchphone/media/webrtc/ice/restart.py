"""ICE restarts of one leg: new credentials and sockets beside the path in use, which carries the sound until they are connected.

::

    offer()        -> our offer waits -- accept(answer) --> moving -- connected --> the path is the new one, the old one closes
    answer(offer)  -------------------------------------->    `------ failed -----> the path stays the old one

Descriptions without new credentials are answered too, and change nothing but what they say about the sound (RFC 8445 9, RFC 9429 5);
``reoffer`` makes such an offer of ours (hold, resume).
Where both sides offer at once, the offer of the one who offered first in the call stands (RFC 3264 4 leaves it to the protocol).
"""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice.agent import IceConnection
from sinchphone.media.webrtc.identity import renewed
from sinchphone.media.webrtc.sdp import LocalDescription, RemoteAudio, write_again, write_answer
from sinchphone.media.webrtc.secure import SecurePath
from sinchphone.protocol.sdp.session_description import SENDRECV
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import cancel_all, start_task

ANSWER_SECONDS: Final = 10.0  # how long our offer waits: signaling that is away itself needs some seconds to come back
_MAX_HELD: Final = 32  # candidates of credentials that we don't know yet
_UFRAG: Final = re.compile(r" ufrag (\S{1,256})")

_log = logging.getLogger(__name__)

OnCandidate = Callable[[seam.Candidate | None, LocalDescription], None]


@quick_dataclass(frozen=True, slots=True)
class RestartTerms:
    """How the call began, which holds for all its descriptions."""

    offerer: bool  # we offered first
    active: bool  # we are the DTLS client
    mid: str | None  # of the audio section


@dataclass(eq=False, slots=True)
class _Attempt:
    """One restart."""

    local: LocalDescription
    ice: IceConnection
    remote: RemoteAudio | None = None  # None: our offer waits for its answer
    task: asyncio.Task[None] | None = None  # waits, then moves


class IceRestarts:
    """What a connected leg's later descriptions do. In the media loop only."""

    def __init__(
        self,
        path: SecurePath,
        local: LocalDescription,
        remote: RemoteAudio,
        terms: RestartTerms,
        *,
        on_candidate: OnCandidate,
        on_end: Callable[[bool], None],
        move_seconds: float,
    ) -> None:
        """``on_candidate`` gets candidates that come after a description; ``on_end`` is told how an attempt ended: whether we moved."""
        self.local = local
        self.remote = remote  # what the peer said last, of the path in use
        self.direction = SENDRECV  # what we want, in every description from now on
        self._reoffered_until = float("-inf")  # an offer that restarts nothing waits for its answer
        self._path = path
        self._terms = terms
        self._on_candidate = on_candidate
        self._on_end = on_end
        self._move_seconds = move_seconds
        self._version = local.version
        self._attempt: _Attempt | None = None
        self._held: deque[str] = deque(maxlen=_MAX_HELD)
        self._turn = asyncio.Lock()  # one description after the other
        self._closed = False

    async def offer(self) -> str:
        """A new offer of ours with new credentials; an attempt that is under way is given up for it."""
        async with self._turn:
            attempt = await self._begin(None)
            attempt.task = start_task(self._wait_for_answer(attempt), name="ice-restart")
            return write_again(attempt.local, self.remote, self._terms.mid, _candidates(attempt.ice), direction=self.direction)

    async def reoffer(self) -> str:
        """A new offer of ours that leaves the path as it is, and says the direction. Where a restart waits for its answer, that is offered
        again; one that is under way ends first."""
        if self._attempt is not None and self._attempt.remote is None:
            return await self.offer()
        while self._attempt is not None and self._attempt.task is not None:
            await asyncio.wait([self._attempt.task])
        async with self._turn:
            if self._closed:
                raise MediaError("the port is closed")
            self.local = self._next(self.local)
            self._reoffered_until = time.monotonic() + ANSWER_SECONDS
            return write_again(self.local, self.remote, self._terms.mid, direction=self.direction)

    async def accept(self, remote: RemoteAudio) -> None:
        """Take the answer to our offer and connect in the background. Raises MediaError: then the path stays as it is."""
        async with self._turn:
            attempt = self._attempt
            if attempt is None or attempt.remote is not None:
                self._accept_same(remote)
                return
            try:
                self._check(remote)
                if remote.ufrag == self.remote.ufrag:
                    raise MediaError("the peer doesn't restart ICE")
            except MediaError:
                await self._give_up(attempt)
                raise
            await self._go(attempt, remote)

    def _accept_same(self, remote: RemoteAudio) -> None:
        """The answer to an offer that restarts nothing; one may come late."""
        if self._reoffered_until == float("-inf"):
            raise LocalProtocolError("there is no offer to answer")
        self._check(remote)
        if remote.ufrag != self.remote.ufrag:
            raise MediaError("the peer restarts ICE in an answer")
        self._reoffered_until = float("-inf")

    async def answer(self, remote: RemoteAudio) -> str:
        """Our answer to a later offer. New credentials in it are answered by new ones, and then we connect in the background.

        Raises MediaError: then nothing has changed.
        """
        async with self._turn:
            self._check(remote)
            attempt = self._attempt
            if attempt is not None and attempt.remote is None:
                if self._terms.offerer:
                    raise MediaError("our own offer stands")
                await self._give_up(attempt)
            if time.monotonic() < self._reoffered_until and self._terms.offerer:
                raise MediaError("our own offer stands")
            self._reoffered_until = float("-inf")
            setup = "active" if self._terms.active else "passive"
            if remote.ufrag == self.remote.ufrag:
                self.local = self._next(self.local)
                return write_answer(self.local, remote, setup, direction=self.direction)
            attempt = await self._begin(remote)
            await self._go(attempt, remote)
            return write_answer(attempt.local, remote, setup, _candidates(attempt.ice), direction=self.direction)

    async def add(self, text: str | None) -> None:
        """A candidate of the peer, ``None`` ends them: for the path that its credentials belong to, as far as it names them."""
        attempt, ufrag = self._attempt, _ufrag_of(text)
        if attempt is not None and attempt.remote is not None and ufrag in (None, attempt.remote.ufrag):
            await attempt.ice.add(text)
        elif text is not None and ufrag != self.remote.ufrag:
            self._held.append(text)  # of a description that is still on its way
        else:
            await self._path.ice.add(text)

    async def close(self) -> None:
        """Give up what is under way; nothing can begin any more."""
        self._closed = True
        if self._attempt is not None:
            await self._give_up(self._attempt)

    def _check(self, remote: RemoteAudio) -> None:
        """What can't be changed in mid call. Raises MediaError."""
        before = self.remote
        if (remote.index, remote.sound.codec) != (before.index, before.sound.codec):
            raise MediaError("the peer wants another kind of sound")
        if not set(remote.fingerprints) & set(before.fingerprints):
            raise MediaError("the peer comes with another certificate")

    def _next(self, local: LocalDescription) -> LocalDescription:
        self._version += 1
        return replace(local, version=self._version)

    async def _begin(self, remote: RemoteAudio | None) -> _Attempt:
        if self._closed:
            raise MediaError("the port is closed")
        if self._attempt is not None:
            await self._give_up(self._attempt)
        local = self._next(renewed(self.local))
        described = False

        def found(candidate: seam.Candidate | None) -> None:
            if described:  # those before it are in the description
                self._on_candidate(candidate, local)

        attempt = self._attempt = _Attempt(local, self._path.another(local, found), remote)
        try:
            await attempt.ice.gather_candidates()
        except BaseException as error:  # a fault, or cancelled: an attempt that never began would keep every later description waiting
            await self._end(attempt, moved=False)
            if isinstance(error, OSError):
                raise MediaError(f"no socket for another path: {error}") from error
            raise
        if self._attempt is not attempt:  # closed meanwhile
            raise MediaError("the port is closed")
        described = True
        return attempt

    async def _go(self, attempt: _Attempt, remote: RemoteAudio) -> None:
        attempt.remote = remote
        held = [text for text in self._held if _ufrag_of(text) in (None, remote.ufrag)]
        self._held.clear()
        for text in (*remote.candidates, *held):
            await attempt.ice.add(text)
        if remote.complete:
            await attempt.ice.add(None)
        if attempt.task is not None:
            attempt.task.cancel()
        attempt.task = start_task(self._move(attempt, remote), name="ice-restart")

    async def _wait_for_answer(self, attempt: _Attempt) -> None:
        await asyncio.sleep(ANSWER_SECONDS)
        await self._end(attempt, moved=False)

    async def _move(self, attempt: _Attempt, remote: RemoteAudio) -> None:
        try:
            async with asyncio.timeout(self._move_seconds):
                await self._path.move(attempt.ice, remote)
        except (MediaError, TimeoutError):
            await self._end(attempt, moved=False)
        except Exception:  # noqa: BLE001  an attempt without an end would keep every later description waiting
            _log.exception("moving to another path failed by a fault of the program")
            await self._end(attempt, moved=False)
        else:
            self.local, self.remote = attempt.local, remote
            await self._end(attempt, moved=True)

    async def _end(self, attempt: _Attempt, *, moved: bool) -> None:
        if self._attempt is attempt:
            self._attempt = None
            self._on_end(moved)
            if not moved:
                await attempt.ice.close()

    async def _give_up(self, attempt: _Attempt) -> None:
        if attempt.task is not None:
            await cancel_all([attempt.task])
        await self._end(attempt, moved=False)


def _candidates(ice: IceConnection) -> list[str]:
    return [f"candidate:{candidate.to_sdp()}" for candidate in ice.local_candidates]


def _ufrag_of(text: str | None) -> str | None:
    """Whose candidate it is, as libwebrtc and we say it (an extension attribute of RFC 8839 5.1)."""
    found = _UFRAG.search(text or "")
    return None if found is None else found[1]
