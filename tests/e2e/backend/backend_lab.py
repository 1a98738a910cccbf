"""A developer's backend as tests play it: answers events as a test says, keeps them, gives out files."""

import asyncio
import base64
import json
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import ClientSession, web

from sinchphone.audio.frame import RATE
from sinchphone.audio.tones import goertzel
from sinchphone.gateway.options import BackendOptions, GatewayOptions
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread

LIMIT_S = 20.0


@dataclass
class Backend:
    """Answers events as the test says, and keeps them."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[Any, bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = json.loads(body)
        self.requests.append((request, body))
        self.events.append(event)
        self.changed.set()
        answer = self.answers.get(event["event"], {})
        if callable(answer):
            answer = answer(event)
        return web.Response(status=answer) if isinstance(answer, int) else web.json_response(answer)

    async def give(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["name"]], content_type="audio/wav")

    async def heard(self, kind: str, type_: str | None = None) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_S):
            while not (found := [event for event in self.events if event["event"] == kind and type_ in (None, event.get("type"))]):
                self.changed.clear()
                await self.changed.wait()
        return found[-1]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

    def tone(self, folder: Path, hz: float, seconds: float = 3.0) -> str:
        """The URL of a file with that tone."""
        name = f"{hz:g}-{seconds:g}.wav"
        self.files[name] = tone_file(folder, hz, seconds)
        return self.url.replace("/sinch", f"/files/{name}")


def action(name: str, *instructions: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"instructions": list(instructions), "action": {"name": name, **members}}


def tone_file(folder: Path, hz: float, seconds: float = 3.0) -> bytes:
    at = np.arange(round(seconds * RATE)) / RATE
    with wave.open(str(folder / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((8000 * np.sin(2 * np.pi * hz * at)).astype(np.int16).tobytes())
    return (folder / "tone.wav").read_bytes()


@asynccontextmanager
async def serving() -> AsyncIterator[Backend]:
    """A backend on a free port."""
    found = Backend()
    application = web.Application()
    application.router.add_post("/sinch", found.take)
    application.router.add_get("/files/{name}", found.give)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/sinch"
    yield found
    await runner.cleanup()


@asynccontextmanager
async def exchange_of(tmp_path_factory: Any, media: MediaThread, url: str) -> AsyncIterator[Local]:
    gateway = GatewayOptions(backend=BackendOptions(url))
    async with Local(tmp_path_factory.mktemp("state"), port=0, media=media, gateway=gateway) as local:
        yield local


def authorization(local: Any) -> dict[str, str]:
    """What a developer's requests carry."""
    return {"Authorization": f"Basic {base64.b64encode(f'{local.application_key}:{local.secret}'.encode()).decode()}"}


async def change(local: Any, call_id: str, answer: dict[str, Any]) -> None:
    """Tell a call that goes on what comes next (Sinch Voice REST)."""
    url = f"{local.url}/calling/v1/calls/id/{call_id}"
    async with ClientSession(headers=authorization(local)) as session, session.patch(url, json=answer) as done:
        assert done.status == 200, await done.text()


async def hears(ear: Any, hz: float) -> None:
    """Waits until it hears that tone and little else; what is said once may have begun just now."""
    await ear.becomes(lambda sound: goertzel.share(sound, hz) >= 0.9, back_s=0.3)
