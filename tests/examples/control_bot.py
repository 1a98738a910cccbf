"""A bot that steers a phone: it answers whoever calls, greets them, and takes keys: 1 plays the news, 9 hangs up.

python control_bot.py greeting.wav news.wav          sinchphone call bot
"""

import json
import subprocess
import sys
from typing import Any

PHONE = ("sinchphone", "listen", "--user", "bot", "--no-audio", "--control", "-", "--json")


def serve(greeting: str, news: str) -> None:
    """Until the phone ends."""
    with subprocess.Popen(PHONE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as phone:
        assert phone.stdin and phone.stdout

        def tell(command: str, **fields: Any) -> None:
            print(json.dumps({"command": command, **fields}), file=phone.stdin, flush=True)

        for line in phone.stdout:
            event = json.loads(line)
            match event["event"], event.get("digit"):
                case "client.ready", _:
                    print("bot is waiting", flush=True)
                case "call.incoming", _:
                    tell("answer", call_id=event["call_id"])
                case "call.established", _:
                    tell("play", path=greeting, call_id=event["call_id"])
                case "dtmf.received", "1":
                    tell("play", path=news, call_id=event["call_id"])
                case "dtmf.received", "9":
                    tell("hangup", call_id=event["call_id"])
                case "control.failed", _:
                    print(f"{event['command']}: {event['reason']}", flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:3])
