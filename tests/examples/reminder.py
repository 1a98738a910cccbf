"""Reminds somebody of an appointment: the exchange calls a number, the backend says the words, and what is pressed confirms it.

Run an exchange (``sinchphone exchange``); its key and secret stand in the state folder (local-application.json)::

    SINCH_APPLICATION_KEY=… SINCH_APPLICATION_SECRET=… python reminder.py +14155550105 "Your appointment is at nine. Press 1 to confirm."

At Sinch only the address of the API is another one (``--api https://calling.api.sinch.com``), and where your program is found (``--here``).
The call is recorded; the exchange keeps the file (``sinchphone help svaml``). Exits with 0 where 1 was pressed, else with 1.
"""

import argparse
import asyncio
import json
import os
from typing import Any

import aiohttp
from aiohttp import web

Svaml = dict[str, Any]


class Reminder:
    """One callout, and what its events say."""

    def __init__(self, words: str) -> None:
        self._words = words
        self.confirmed = False
        self.over = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        """One event. A program on the internet checks the signature too, as routing_backend.py does."""
        event = await request.json()
        match event["event"]:
            case "ace":
                return web.json_response(self._menu())
            case "pie":
                self.confirmed = event["menuResult"].get("value") == "confirmed"
                print(f"answered with {event['menuResult']}", flush=True)
                return web.json_response({"action": {"name": "hangup"}})
            case "dice":
                print(f"over: {event['result']}, {event['reason']}", flush=True)
                self.over.set()
        return web.json_response({})

    def _menu(self) -> Svaml:
        words = f"#tts[{self._words}]"
        options = [{"dtmf": "1", "action": "return(confirmed)"}, {"dtmf": "2", "action": "return(declined)"}]
        record = {"name": "startRecording", "options": {"format": "wav"}}
        menu = {"id": "main", "mainPrompt": words, "repeatPrompt": words, "repeats": 2, "maxDigits": 1, "options": options}
        return {"instructions": [record], "action": {"name": "runMenu", "locale": "en-US", "barge": False, "menus": [menu]}}


async def call_out(api: str, number: str, caller: str, here: str) -> str:
    """Have the number called; its events but ICE, which is answered in advance, come here. The call's id."""
    ice = json.dumps({"action": {"name": "connectPstn", "number": number, "cli": caller}})
    body = {"method": "customCallout", "customCallout": {"cli": caller, "ice": ice, "custom": "reminder"}}
    keys = aiohttp.BasicAuth(os.environ["SINCH_APPLICATION_KEY"], os.environ["SINCH_APPLICATION_SECRET"])
    async with aiohttp.ClientSession(auth=keys, raise_for_status=True) as session:
        where = f"{api}/v1/configuration/callbacks/applications/{keys.login}"
        await (await session.post(where, json={"url": {"primary": here}})).read()
        async with session.post(f"{api}/calling/v1/callouts", json=body) as answer:
            return str((await answer.json())["callId"])


async def remind(options: argparse.Namespace) -> int:
    """Call, and wait for the end."""
    reminder = Reminder(options.words)
    application = web.Application()
    application.router.add_post("/voice", reminder.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port).start()
    try:
        print(f"calls {await call_out(options.api, options.number, options.caller, options.here)}", flush=True)
        async with asyncio.timeout(120):
            await reminder.over.wait()
    finally:
        await runner.cleanup()
    return 0 if reminder.confirmed else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Remind somebody by phone.")
    parser.add_argument("number")
    parser.add_argument("words")
    parser.add_argument("--from", dest="caller", default="+14155550100")
    parser.add_argument("--api", default="http://127.0.0.1:4600")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--here", default="http://127.0.0.1:3000/voice")
    raise SystemExit(asyncio.run(remind(parser.parse_args())))
