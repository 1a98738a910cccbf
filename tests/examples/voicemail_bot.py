"""Voicemail: greets who calls, records what they say, a minute at most, and writes to the owner where it lies.

python voicemail_bot.py ada greeting.wav beep.wav          sinchphone call voicemail
"""

import json
import subprocess
import sys
import threading
from typing import Any

LONGEST_S = 60.0
PHONE = ("sinchphone", "listen", "--user", "voicemail", "--no-audio", "--control", "-", "--json")


def serve(owner: str, greeting: str, beep: str) -> None:
    """Until the phone ends. Greeting, beep and recording follow each other: each begins when the one before is done."""
    callers: dict[str, str] = {}
    with subprocess.Popen(PHONE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as phone:
        assert phone.stdin and phone.stdout

        def tell(command: str, **fields: Any) -> None:
            print(json.dumps({"command": command, **fields}), file=phone.stdin, flush=True)

        for number, line in enumerate(phone.stdout):
            event = json.loads(line)
            call = event.get("call_id")
            match event["event"], event.get("id"):
                case "client.ready", _:
                    print("voicemail is waiting", flush=True)
                case "call.incoming", _:
                    callers[call] = event["peer"]
                    tell("answer", call_id=call)
                case "call.established", _:
                    tell("play", path=greeting, call_id=call, id="greeting")
                    limit = threading.Timer(LONGEST_S, tell, ("hangup",), {"call_id": call})
                    limit.daemon = True
                    limit.start()
                case "control.done", "greeting":
                    tell("play", path=beep, call_id=call, id="beep")
                case "control.done", "beep":
                    tell("record", path=f"message-{number}.wav", layout="far", call_id=call)
                case "record.finished", _:
                    said = f"{callers.get(call)} left a message of {event['duration_s']:.0f} s: {event['path']}"
                    print(said, flush=True)
                    tell("message", to=owner, text=said)


if __name__ == "__main__":
    serve(*sys.argv[1:4])
