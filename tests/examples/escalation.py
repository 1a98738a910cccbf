"""Rings one after the other until somebody answers and presses 1; exit 0 where somebody did, 5 where nobody did.

python escalation.py alarm.wav bob +46700000000 @carol
"""

import json
import subprocess
import sys
import threading

PATIENCE_S = 15.0  # for the 1, from the answer on


def takes(person: str, alarm: str) -> bool:
    """Whether that person answered and pressed 1."""
    order = ("sinchphone", "call", person, "--no-audio", "--ring-timeout", "20s", "--control", "-", "--json")
    with subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as phone:
        assert phone.stdin and phone.stdout
        commands = phone.stdin

        def tell(**command: object) -> None:
            if not commands.closed:
                print(json.dumps(command), file=commands, flush=True)

        patience = threading.Timer(PATIENCE_S, tell, kwargs={"command": "hangup"})
        taken = False
        for line in phone.stdout:
            event = json.loads(line)
            if event["event"] == "call.established":
                patience.start()
                tell(command="play", path=alarm)
            elif event["event"] == "dtmf.received" and event["digit"] == "1":
                taken = True
                tell(command="hangup")
            elif event["event"] == "call.ended":
                patience.cancel()
                print(f"{person}: {'took it' if taken else event['reason']}", flush=True)
    return taken


def main() -> int:
    """The exit code."""
    alarm, *people = sys.argv[1:]
    return 0 if any(takes(person, alarm) for person in people) else 5


if __name__ == "__main__":
    sys.exit(main())
