"""A backend with a phone menu of three levels: the caller presses keys, the backend learns what they want, and answers that.

Each menu has a tone of its own in place of words, so that a test can hear which one it is; with eSpeak NG installed
``"mainPrompt": "#tts[For orders press 1]"`` speaks. In config.toml::

    [backend]
    url = "http://127.0.0.1:3000/voice"

Run beside the exchange, with its key and secret (local-application.json in the state folder), and call any number::

    SINCH_APPLICATION_KEY=… SINCH_APPLICATION_SECRET=… python ivr_backend.py --port 3000
    sinchphone call +46850000000 --dtmf wwww1wwww2wwww3
"""

import argparse
import io
import math
import struct
import wave
from typing import Any

from aiohttp import web
from routing_backend import is_signed  # type: ignore[import-not-found]

MAIN_HZ, ORDERS_HZ, DELIVERY_HZ, DONE_HZ, SORRY_HZ = 440, 550, 660, 880, 330
RATE = 16_000


def tone(hz: float, seconds: float) -> bytes:
    """A sound file."""
    wave_form = [round(9000 * math.sin(2 * math.pi * hz * sample / RATE)) for sample in range(round(RATE * seconds))]
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(wave_form)}h", *wave_form))
    return content.getvalue()


def menus(sounds: str) -> list[dict[str, Any]]:
    """Main menu, orders, delivery. A wrong key, or none, repeats the prompt once."""
    again = {"repeats": 1, "timeoutMills": 4000}
    return [
        {"id": "main", "mainPrompt": f"{sounds}/{MAIN_HZ}.wav", "options": [{"dtmf": "1", "action": "menu(orders)"}], **again},
        {
            "id": "orders",
            "mainPrompt": f"{sounds}/{ORDERS_HZ}.wav",
            "options": [{"dtmf": "1", "action": "return(new)"}, {"dtmf": "2", "action": "menu(delivery)"}],
            **again,
        },
        {"id": "delivery", "mainPrompt": f"{sounds}/{DELIVERY_HZ}.wav", "maxDigits": 4, **again},
    ]


def answer(event: dict[str, Any], sounds: str) -> dict[str, Any] | None:
    """What to do with the call; nothing where nothing is asked."""
    match event:
        case {"event": "ice"}:
            return {"instructions": [{"name": "answer"}], "action": {"name": "runMenu", "menus": menus(sounds)}}
        case {"event": "pie", "menuResult": {"menuId": menu, "type": kind, "value": value}}:
            print(f"{menu}: {kind} {value}".rstrip(), flush=True)
            heard = DONE_HZ if kind in ("return", "sequence") else SORRY_HZ
            return {"instructions": [{"name": "playFiles", "ids": [f"{sounds}/{heard}.wav"]}], "action": {"name": "hangup"}}
        case _:
            return None


async def take(request: web.Request) -> web.Response:
    """One event."""
    if not is_signed(request, await request.read()):
        return web.Response(status=401)
    answered = answer(await request.json(), f"{request.scheme}://{request.host}/sounds")
    return web.json_response(answered) if answered is not None else web.Response()


async def give(request: web.Request) -> web.Response:
    """A prompt."""
    return web.Response(body=tone(float(request.match_info["hz"]), 1.0), content_type="audio/wav")


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
