"""A queue as a backend: callers wait in a park with music until an agent calls "next", and are then in a room with them.

In config.toml::

    [backend]
    url = "http://127.0.0.1:3000/voice"

Run beside the exchange, with its key and secret (local-application.json in the state folder)::

    SINCH_APPLICATION_KEY=… SINCH_APPLICATION_SECRET=… python queue_backend.py --port 3000
    sinchphone call +46850000000
    sinchphone call next --user agent
"""

import argparse
import os
from collections import deque
from typing import Any

from aiohttp import BasicAuth, ClientSession, web
from ivr_backend import MAIN_HZ, ORDERS_HZ, give  # type: ignore[import-not-found]
from routing_backend import is_signed  # type: ignore[import-not-found]

NEXT = "next"
waiting: deque[tuple[str, str]] = deque()  # calls, and where each is found


def park(sounds: str) -> dict[str, Any]:
    """A word of welcome, then music."""
    prompts = {"introPrompt": f"{sounds}/{MAIN_HZ}.wav", "holdPrompt": f"{sounds}/{ORDERS_HZ}.wav"}
    return {"instructions": [{"name": "answer"}], "action": {"name": "park", "maxDuration": 600, **prompts}}


def meet(call: str) -> dict[str, Any]:
    """A room of the caller's and the agent's."""
    return {"action": {"name": "connectConf", "conferenceId": f"desk-{call[:8]}", "moh": "music1"}}


async def serve_next() -> dict[str, Any]:
    """The agent and who waits longest; a call that is over meanwhile is passed over."""
    auth = BasicAuth(os.environ["SINCH_APPLICATION_KEY"], os.environ["SINCH_APPLICATION_SECRET"])
    async with ClientSession(auth=auth) as session:
        while waiting:
            call, url = waiting.popleft()
            async with session.patch(url, json=meet(call)) as answer:
                if answer.status == 200:
                    print(f"{call} is served", flush=True)
                    return meet(call)
    return {"action": {"name": "hangup"}}


async def take(request: web.Request) -> web.Response:
    """One event."""
    if not is_signed(request, await request.read()):
        return web.Response(status=401)
    event = await request.json()
    if event["event"] != "ice":
        waiting_calls = [one for one in waiting if one[0] == event["callid"]]
        for one in waiting_calls if event["event"] == "dice" else ():
            waiting.remove(one)
        return web.json_response({"action": {"name": "continue"}}) if event["event"] == "ace" else web.Response()
    if event["to"]["endpoint"] == NEXT:
        return web.json_response(await serve_next())
    waiting.append((event["callid"], event["callResourceUrl"]))
    print(f"{event['callid']} waits, {len(waiting)} in all", flush=True)
    return web.json_response(park(f"{request.scheme}://{request.host}/sounds"))


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000)
    application = web.Application()
    application.router.add_post("/voice", take)
    application.router.add_get("/sounds/{hz:[0-9]+}.wav", give)
    web.run_app(application, host="127.0.0.1", port=parser.parse_args().port)


if __name__ == "__main__":
    main()
