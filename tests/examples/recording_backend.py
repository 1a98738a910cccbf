"""A voicemail as a backend: it greets, records what the caller says until they press a key or hang up, and fetches the recording.

In config.toml::

    [backend]
    url = "http://127.0.0.1:3000/voice"

Run beside the exchange, with its key and secret (local-application.json in the state folder); messages are put into a folder::

    SINCH_APPLICATION_KEY=… SINCH_APPLICATION_SECRET=… python recording_backend.py --port 3000 --messages messages
    sinchphone call +46850000000
"""

import argparse
import os
from pathlib import Path
from typing import Any

from aiohttp import BasicAuth, ClientSession, web
from ivr_backend import DONE_HZ, MAIN_HZ, give  # type: ignore[import-not-found]
from routing_backend import is_signed  # type: ignore[import-not-found]

LONGEST_MS = 120_000


def greet_and_record(sounds: str) -> dict[str, Any]:
    """The menu has no prompt: it waits for a key while the caller speaks."""
    return {
        "instructions": [
            {"name": "answer"},
            {"name": "playFiles", "ids": [f"{sounds}/{MAIN_HZ}.wav"]},
            {"name": "startRecording", "options": {"format": "wav"}},
        ],
        "action": {"name": "runMenu", "menus": [{"id": "main", "maxDigits": 1, "timeoutMills": LONGEST_MS}]},
    }


def thank(sounds: str) -> dict[str, Any]:
    """The message is complete."""
    thanks = {"name": "playFiles", "ids": [f"{sounds}/{DONE_HZ}.wav"]}
    return {"instructions": [{"name": "stopRecording"}, thanks], "action": {"name": "hangup"}}


async def fetch(url: str, folder: Path) -> Path:
    """The recording, which is then deleted at the exchange."""
    auth = BasicAuth(os.environ["SINCH_APPLICATION_KEY"], os.environ["SINCH_APPLICATION_SECRET"])
    async with ClientSession(auth=auth, raise_for_status=True) as session:
        async with session.get(url) as answer:
            message = folder / url.rpartition("/")[2]
            message.write_bytes(await answer.read())
        await session.delete(url)
    return message


async def take(request: web.Request) -> web.Response:
    """One event."""
    if not is_signed(request, await request.read()):
        return web.Response(status=401)
    sounds = f"{request.scheme}://{request.host}/sounds"
    match await request.json():
        case {"event": "ice"}:
            return web.json_response(greet_and_record(sounds))
        case {"event": "pie"}:
            return web.json_response(thank(sounds))
        case {"event": "notify", "type": "recording_available", "destination": str(url)}:
            message = await fetch(url, request.app["folder"])
            print(f"a message: {message}", flush=True)
    return web.Response()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--messages", type=Path, default=Path("messages"))
    chosen = parser.parse_args()
    chosen.messages.mkdir(exist_ok=True)
    application = web.Application()
    application["folder"] = chosen.messages
    application.router.add_post("/voice", take)
    application.router.add_get("/sounds/{hz:[0-9]+}.wav", give)
    web.run_app(application, host="127.0.0.1", port=chosen.port)


if __name__ == "__main__":
    main()
