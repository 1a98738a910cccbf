"""A backend that routes calls: it is asked about each call (ICE), answers in SVAML, and is told when the call is over (DiCE).

The number of the support line rings at a user, "standup" leads to a conference, a number that begins with +4690 is refused with a
spoken sentence; all other calls go where they were going. Only events that the exchange signed are believed. In config.toml::

    [backend]
    url = "http://127.0.0.1:3000/voice"

The exchange's key and secret stand in the state folder (local-application.json)::

    SINCH_APPLICATION_KEY=… SINCH_APPLICATION_SECRET=… python routing_backend.py --port 3000
"""

import argparse
import base64
import hashlib
import hmac
import os
from typing import Any

from aiohttp import web

SUPPORT_LINE, SUPPORT_USER = "+46850000000", "support"
Svaml = dict[str, Any]


def route(event: dict[str, Any]) -> Svaml:
    """Where a call goes."""
    to = event["to"]["endpoint"]
    if to == SUPPORT_LINE:
        return {"action": {"name": "connectMxp", "destination": {"type": "username", "endpoint": SUPPORT_USER}}}
    if to == "standup":
        return {"action": {"name": "connectConf", "conferenceId": "standup"}}
    if to.startswith("+4690"):
        sentence = {"name": "say", "text": "This number is not called from here.", "locale": "en-US"}
        return {"instructions": [{"name": "answer"}, sentence], "action": {"name": "hangup"}}
    if event["to"]["type"] == "number":
        return {"action": {"name": "connectPstn", "number": to, "cli": event["cli"]}}
    return {"action": {"name": "connectMxp", "destination": {"type": "username", "endpoint": to}}}


def is_signed(request: web.Request, body: bytes) -> bool:
    """Whether the exchange sent this: Sinch's signed requests."""
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    timestamp = request.headers.get("x-timestamp", "")
    text = "\n".join(["POST", digest, request.headers.get("Content-Type", ""), f"x-timestamp:{timestamp}", request.path])
    secret = base64.b64decode(os.environ["SINCH_APPLICATION_SECRET"])
    signature = base64.b64encode(hmac.digest(secret, text.encode(), "sha256")).decode()
    expected = f"application {os.environ['SINCH_APPLICATION_KEY']}:{signature}"
    return hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected.encode())


async def take(request: web.Request) -> web.Response:
    """One event."""
    body = await request.read()
    if not is_signed(request, body):
        return web.Response(status=401)
    event = await request.json()
    match event["event"]:
        case "ice":
            answer = route(event)
            print(f"{event['cli']} calls {event['to']['endpoint']}: {answer['action']['name']}", flush=True)
            return web.json_response(answer)
        case "ace":
            return web.json_response({"action": {"name": "continue"}})
        case _:
            print(f"{event['event']}: {event.get('result')}, {event.get('reason')}", flush=True)
            return web.Response()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000)
    application = web.Application()
    application.router.add_post("/voice", take)
    web.run_app(application, host="127.0.0.1", port=parser.parse_args().port)


if __name__ == "__main__":
    main()
