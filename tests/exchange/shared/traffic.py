"""Devices that call each other and write while something breaks: what they were told was taken, and what came.

As much as is asked for: SINCHPHONE_CRASH_CALLS=100 SINCHPHONE_CRASH_MESSAGES=1000 pytest -s tests/exchange/shared
"""

import asyncio
import base64
import os
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import aiohttp

from sinchphone.protocol.mxp.message import Client, Message, Method, encrypt, split
from sinchphone.tasks import start_task
from tests.exchange.conftest import LegacyPhone, Phone

CALLS, MESSAGES = (int(os.environ.get(f"SINCHPHONE_CRASH_{what}", count)) for what, count in (("CALLS", "8"), ("MESSAGES", "60")))
WRITERS = 10
AT_ONE = 4  # calls that one user may have ringing at another
LONGEST = 60.0
UNABLE = (aiohttp.ClientError, AssertionError, ValueError, TypeError, KeyError)


class Reader:
    """A device that polls whatever happens, as clients do, and asks the next address where one doesn't serve it. ``longest_s``: how long
    that took, until its poll was taken, or until something came."""

    def __init__(self, polls: Sequence[Callable[[str], Awaitable[tuple[list[Any], str]]]], *, until_it_came: bool = False) -> None:
        self.token = "0"
        self.came: list[Any] = []
        self.longest_s = 0.0
        self._polls = list(polls)
        self._until_it_came = until_it_came  # for whom there is always something

    async def run(self) -> None:
        while True:
            failed_at: float | None = None
            while True:
                began = time.monotonic()
                try:
                    more, self.token = await self._polls[0](self.token)
                    break
                except UNABLE:
                    self._polls.append(self._polls.pop(0))
                    failed_at = failed_at or time.monotonic()
                    await asyncio.sleep(0.1)
            if failed_at is not None:
                served_at = time.monotonic() if self._until_it_came else began
                self.longest_s = max(self.longest_s, served_at - failed_at)
            self.came += more


@dataclass
class Talk:
    """A call that was placed: the caller, and its answer."""

    caller: Phone
    call_id: str
    placed: Any
    callee: Reader

    async def hang_up(self) -> str:
        """The frame that says so, published until it's taken."""
        sender = Client(self.caller.user, self.caller.instance, self.caller.profile["signalChannel"])
        message = Message(Method.CANCEL, sender)
        text = encrypt(message, base64.b64decode(self.placed["mxpEncryptionKey"]), b"i" * 16)
        (frame,) = split(text, self.call_id, "1")
        while True:
            try:
                if (await self.caller.publish(self.placed["mxpSignalChannel"], frame))[1] == "Sent":
                    return frame
            except UNABLE:
                await asyncio.sleep(0.1)


@dataclass
class Traffic:
    """Calls that ring, and messages to one who reads; ``urls``: of processes that are one exchange, or of what stands in front of them."""

    session: aiohttp.ClientSession
    urls: Sequence[str]
    accepted: list[str] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)

    async def run(self, disturb: Callable[[], Coroutine[Any, Any, object]]) -> dict[str, Any]:
        """What happened, with ``disturb`` when half of the messages are written. Fails where something was lost or came twice."""
        writers = [await LegacyPhone(self.session, self._url(number), f"writer-{number}").started() for number in range(WRITERS)]
        bob = await LegacyPhone(self.session, self._url(0), "bob").started()
        mail = Reader([self._at(bob, url).poll for url in self.urls], until_it_came=True)
        phones = [await Phone(self.session, self._url(at), f"callee-{at}").registered() for at in range(CALLS // AT_ONE)]
        rings = [Reader([partial(ringing, self._at(phone, url)) for url in self.urls]) for phone in phones]
        reading = [start_task(one.run(), name="reader") for one in (mail, *rings)]
        await asyncio.sleep(0.2)
        await asyncio.gather(*(self._call(at, phones[at].user, rings[at]) for at in range(len(phones))))
        disturbed: list[asyncio.Task[Any]] = []

        def begin() -> None:
            disturbed.append(start_task(disturb(), name="disturb"))

        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*(self._write(phone, begin) for phone in writers))
            await asyncio.gather(*disturbed)
            frames = [await talk.hang_up() for talk in self.talks]
            while not (set(self.accepted) <= set(mail.came) and self._all_over(frames)):
                await asyncio.sleep(0.05)
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
        assert max(Counter(mail.came).values()) == 1
        longest_s = max(one.longest_s for one in (mail, *rings))
        return {"accepted": len(self.accepted), "of": MESSAGES, "longest_s": longest_s, "calls": len(self.talks)}

    def _url(self, number: int) -> str:
        return self.urls[number % len(self.urls)]

    @staticmethod
    def _at(phone: Any, url: str) -> Any:
        return replace(phone, url=url)

    def _all_over(self, frames: Sequence[str]) -> bool:
        return all(frame in talk.callee.came for frame, talk in zip(frames, self.talks, strict=True))

    async def _call(self, number: int, callee: str, ring: Reader) -> None:
        caller = await Phone(self.session, self._url(number), f"caller-{number}").registered()
        for one in range(AT_ONE):
            answer = await caller.call(callee, call_id=f"call-{number}-{one}")
            assert answer.status == 200, answer.body
            self.talks.append(Talk(caller, f"call-{number}-{one}", answer.body, ring))

    async def _write(self, phone: LegacyPhone, disturb: Callable[[], None]) -> None:
        """Until so many were taken; what wasn't may have come all the same."""
        for _ in range(MESSAGES // WRITERS):
            while True:
                try:
                    self.accepted.append(await phone.write_to("bob", text=uuid.uuid4().hex))
                    break
                except UNABLE:
                    await asyncio.sleep(0.1)
            if len(self.accepted) == MESSAGES // 2:
                disturb()


async def ringing(phone: Phone, token: str) -> tuple[list[Any], str]:
    """One poll for what rings."""
    body = await phone.subscribe("broadcast", token)
    return [message["d"] for message in body["m"]], body["t"]["t"]
