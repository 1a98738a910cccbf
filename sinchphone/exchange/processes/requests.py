"""Requests that one process of an exchange hands on to another: over the feed that all read, answered by the one that it names.

::

    ask -> feed: {"to", "from", "ask", "kind", "members"} -> served there -> feed: {"to", "answer", "members" | "refused"} -> ask returns

They come after all that the asking process changed before, so whoever serves knows that too. Only who may write to the store can ask.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from sinchphone.errors import RemoteProtocolError, SinchphoneError
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.store.feed import Feed, FeedMessage
from sinchphone.exchange.store.store import Store, StoreError
from sinchphone.exchange.store.tables import PROCESSES, Row
from sinchphone.signaling.wire import ErrorCode
from sinchphone.tasks import start_task

PATIENCE_SECONDS: Final = 5.0  # for an answer; longer than a process that is gone is taken for alive
NETWORK: Final = "processes"  # of a message that is no client's
_FAILED: Final = "the process of this exchange that has it failed; its log says why"

_logger = logging.getLogger(__name__)

Serve: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]  # the application's key and JSON; JSON


class ProcessRequests:
    """One process's end of it. ``process`` is its name."""

    def __init__(self, store: Store, feed: Feed, process: str, *, taken_for_dead: Callable[[], None] = lambda: None) -> None:
        """``taken_for_dead``: what is to be done where the others have buried us."""
        self.process = process
        self._store = store
        self._feed = feed
        self._taken_for_dead = taken_for_dead
        self._serve: dict[str, Serve] = {}  # by kind
        self._waiting: dict[str, tuple[str, asyncio.Future[Mapping[str, Any]]]] = {}  # by number; whom we asked
        self._asked = 0
        self._known: dict[str, set[str]] = {}  # by application: the other processes
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(self, applications: Iterable[str]) -> None:
        """Know the other processes, and let them know this one. Raises StoreError."""
        for row in await self._store.read(PROCESSES):
            self._came(row)
        self._store.follow(PROCESSES, self._came, self._went)
        for application in applications:
            self._store.put(PROCESSES, application, self.process, time.time())

    def serve(self, kind: str, serve: Serve) -> None:
        """Answer requests of that kind; ``serve`` may raise a SinchphoneError, which the asking process is told."""
        self._serve[kind] = serve

    async def ask(self, application: str, process: str, kind: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        """What another process answers. Raises RefusedError, as that one would have, or 503 where it doesn't answer. Where this is
        cancelled it may have been served all the same."""
        self._asked += 1
        number = str(self._asked)
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (process, answer)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._post(application, process, {"from": self.process, "ask": number, "kind": kind, "members": members})
                return await answer
        except (TimeoutError, StoreError) as error:
            raise RefusedError(503, ErrorCode.INTERNAL, "the process of this exchange that has it doesn't answer; try again") from error
        finally:
            del self._waiting[number]

    async def ask_all(self, application: str, kind: str, members: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the one process answers that has it; ``None`` where all others say that they know of nothing such. Raises RefusedError, as
        that one would have, or 503 where one doesn't answer and no other has it."""
        others = sorted(self._known.get(application, ()))
        answers = await asyncio.gather(*(self.ask(application, one, kind, members) for one in others), return_exceptions=True)
        errors = [one for one in answers if isinstance(one, BaseException)]
        for one in answers:
            if not isinstance(one, BaseException):
                return one
        for error in errors:
            if not isinstance(error, RefusedError) or error.status != 404:
                raise error
        return None

    async def ask_each(self, application: str, kind: str, members: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """What each of the other processes answers. Raises RefusedError as the first that doesn't, once all are through with it."""
        others = sorted(self._known.get(application, ()))
        answers = await asyncio.gather(*(self.ask(application, one, kind, members) for one in others), return_exceptions=True)
        for one in answers:
            if isinstance(one, BaseException):
                raise one
        return [one for one in answers if not isinstance(one, BaseException)]

    def receive(self, message: FeedMessage) -> bool:
        """Whether that was a message of a process, and not of a client."""
        if message.network != NETWORK:
            return False
        said: Mapping[str, Any] = message.payload
        if message.channel != self.process:
            return True
        if "ask" in said:
            start_task(self._answer(message.application, said), name=f"{said['kind']} for another process", among=self._tasks)
        elif said.get("answer") in self._waiting:
            self._take(said, self._waiting[said["answer"]][1])
        return True

    def bury(self, application: str, process: str) -> None:
        """A process is gone: nobody asks it any more."""
        self._store.drop(PROCESSES, application, process)
        self._went((application, process))

    def _take(self, said: Mapping[str, Any], answer: "asyncio.Future[Mapping[str, Any]]") -> None:
        if answer.done():
            return
        if "refused" in said:
            status, code, reason = said["refused"]
            answer.set_exception(RefusedError(status, ErrorCode(code), reason))
        else:
            answer.set_result(said["members"])

    async def _answer(self, application: str, said: Mapping[str, Any]) -> None:
        serve = self._serve.get(said["kind"])
        answer: dict[str, Any] = {"answer": said["ask"]}
        try:
            if serve is None:
                raise RefusedError(501, ErrorCode.NOT_THERE, f"this process serves no {said['kind']}")
            answer["members"] = await serve(application, said["members"])
        except RefusedError as error:
            answer["refused"] = [error.status, int(error.code), str(error)]
        except RemoteProtocolError as error:
            answer["refused"] = [400, int(ErrorCode.INVALID_PARAMETERS), str(error)]
        except SinchphoneError as error:
            answer["refused"] = [403, int(ErrorCode.FORBIDDEN), str(error)]
        except Exception:
            _logger.exception("a request of another process failed")
            answer["refused"] = [500, int(ErrorCode.INTERNAL), _FAILED]
        try:
            await self._post(application, said["from"], answer)
        except StoreError as error:
            _logger.warning("another process isn't told what became of its request: %s", error)

    async def _post(self, application: str, process: str, said: Mapping[str, Any]) -> None:
        message = FeedMessage(application=application, network=NETWORK, channel=process, payload=said, size=len(json.dumps(said)))
        await self._feed.post(message)

    def _came(self, row: Row) -> None:
        application, process, _ = row
        if process != self.process:
            self._known.setdefault(application, set()).add(process)

    def _went(self, key: tuple[Any, ...]) -> None:
        application, process = key
        if process == self.process:  # the others took us for dead
            self._store.put(PROCESSES, application, process, time.time())
            self._taken_for_dead()
            return
        self._known.get(application, set()).discard(process)
        for asked, answer in self._waiting.values():
            if asked == process and not answer.done():
                answer.set_exception(RefusedError(503, ErrorCode.INTERNAL, "the process of this exchange that had it is gone"))
