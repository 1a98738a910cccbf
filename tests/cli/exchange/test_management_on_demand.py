"""What a call to the exchange of this machine doesn't load."""

import subprocess
import sys

PROGRAM = """
import sys
from sinchphone.local import Local
kept = ("sinchphone.local.management", "sinchphone.protocol.callbacks", "sinchphone.exchange.sms", "sinchphone.exchange.store")
print([name for name in sys.modules if name.startswith(kept)])
"""


def test_who_only_calls_loads_nothing_of_what_an_exchange_can_be_asked_and_told() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
