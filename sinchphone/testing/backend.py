"""The backend of an app in a test: the exchange asks it about calls, it answers what the test says, and keeps what it was told.

::

    exchange -> POST, signed -> answers["ice"]: SVAML, or a function of the event -> exchange
                             -> events, expect("dice")
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from aiohttp import web

from sinchphone.protocol.auth import decode_secret, verify_request
from sinchphone.signaling.wire import MAX_BODY_BYTES
from sinchphone.testing.loop_thread import LoopThread

Svaml: TypeAlias = dict[str, Any]
Answer: TypeAlias = Svaml | Callable[[dict[str, Any]], Svaml]

MAX_EVENTS: Final = 10_000
_PATH: Final = "/voice"


class AppBackend:
    """Listens on a free port of this machine. ``answers`` has what it says to ``ice``, ``ace``, ``pie``, ``notify`` …; calls go where they
    were going as long as the test says nothing else."""

    def __init__(self, thread: LoopThread, seconds: float) -> None:
        """``seconds``: how long ``expect`` waits, where it isn't told."""
        self.answers: dict[str, Answer] = {"ice": as_dialled}
        self.events: list[dict[str, Any]] = []
        self.url = ""
        self._thread = thread
        self._seconds = seconds
        self._secrets: Mapping[str, str] = {}
        self._changed = threading.Condition()
        self._read = 0
        self._runner: web.AppRunner | None = None

    def open(self) -> "AppBackend":
        """Listen."""
        self._thread.run(self._listen())
        return self

    def close(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            self._thread.run(self._runner.cleanup())

    def trust(self, key: str, secret: str) -> None:
        """Events of that application are believed where they are signed with its secret (base64); others get a 401."""
        self._secrets = {key: secret}

    def expect(self, event: str, within: float | None = None) -> dict[str, Any]:
        """The next event of that kind, after those that were expected before. Raises AssertionError where none comes."""
        seconds = self._seconds if within is None else within
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for at in range(self._read, len(self.events)):
                    if self.events[at].get("event") == event:
                        self._read = at + 1
                        return self.events[at]
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    others = ", ".join(str(one.get("event")) for one in self.events[self._read :]) or "nothing"
                    raise AssertionError(f"the exchange told nothing of {event} within {seconds:g} s, but {others}")

    async def _listen(self) -> None:
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_post(_PATH, self._take)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{_PATH}"

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._is_signed(request, body):
            return web.Response(status=401)
        event = json.loads(body)
        with self._changed:
            if len(self.events) < MAX_EVENTS:
                self.events.append(event)
            self._changed.notify_all()
        answer = self.answers.get(str(event.get("event")), {})
        return web.json_response(await asyncio.to_thread(answer, event) if callable(answer) else answer)

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        _, _, credentials = request.headers.get("Authorization", "").partition(" ")
        key, _, signature = credentials.partition(":")
        if key not in self._secrets:
            return False
        stamp = request.headers.get("x-timestamp", "")
        content_type = request.headers.get("Content-Type", "")
        signed = (request.method, request.rel_url.raw_path, body, content_type, stamp)
        return verify_request(*signed, decode_secret(self._secrets[key]), signature)


def as_dialled(event: dict[str, Any]) -> Svaml:
    """SVAML for a call that goes where it was going."""
    to = event.get("to", {})
    match str(to.get("type", "")).lower():
        case "number":
            return {"action": {"name": "connectPstn", "number": to["endpoint"], "cli": event.get("cli", "")}}
        case "conference":
            return {"action": {"name": "connectConf", "conferenceId": to["endpoint"]}}
        case "sip":
            return {"action": {"name": "connectSip", "destination": {"endpoint": to["endpoint"]}}}
        case _:
            return {"action": {"name": "connectMxp", "destination": {"type": "username", "endpoint": to.get("endpoint", "")}}}
