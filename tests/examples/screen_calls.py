"""A hook for incoming calls: declines who stands in blocked.txt, answers everybody else.

sinchphone listen --on "incoming=python screen_calls.py" --play welcome.wav
"""

import os
from pathlib import Path

blocked = Path("blocked.txt").read_text(encoding="utf-8").split()
print("decline" if os.environ["SINCHPHONE_PEER"] in blocked else "answer")
