"""Whether ours is far behind libwebrtc, in half a minute: a clean, a lossy and a narrow line, all calls side by side.

A line on which ours isn't far behind is good. The others are tried again, with other losses, and so are those of which a call was disturbed
or didn't come about. Red is what was far behind in each of the tries, and in none of them disturbed; what couldn't be judged is told.
"""

import time

import quality_rows as rows
from quality_calls import LIBWEBRTC, OURS, available
from quality_run import FIRST_SEED, Run

LINES = ("clean", "10 % in bursts of 3", "64 kbit/s, queue 300 ms")
SYSTEMS = (LIBWEBRTC, OURS)
SENTENCES = 3
TRIES = 3
PESQ, MS = 0.4, 30.0  # so far behind is red
LIMIT_S = 120.0  # no further try


class Trial:
    """What came of each line in each try."""

    def __init__(self, lines: tuple[str, ...] = LINES) -> None:
        self.open = list(lines)  # to be tried again
        self._behind = dict.fromkeys(lines, 0)
        self._tries = 0

    def push(self, tried: list[rows.Row]) -> None:
        """A try of the lines that were open; of a line without a row no call came about."""
        self._tries += 1
        for row in tried:
            if any(each.disturbed for each in row.found.values()):
                continue
            if rows.is_far_behind(row, OURS, LIBWEBRTC, PESQ, MS):
                self._behind[row.key.line] += 1
            else:
                self.open.remove(row.key.line)

    @property
    def red(self) -> list[str]:
        """What was far behind each time."""
        return [line for line in self.open if self._behind[line] == self._tries >= TRIES]


def quick() -> bool:
    """Whether no line is red; where the peer isn't there nothing is."""
    systems = list(available(list(SYSTEMS)))
    if len(systems) < len(SYSTEMS):
        return True
    trial, limit = Trial(), time.monotonic() + LIMIT_S
    with Run(systems, len(LINES) * len(SYSTEMS), tries=1) as run:
        for attempt in range(TRIES):
            keys = [rows.Key("", "report", line, FIRST_SEED["report"] + 2 * attempt, SENTENCES) for line in trial.open]
            tried = list(run.measured(keys))
            print(rows.report(tried, systems, [key.line for key in keys]))
            trial.push(tried)
            if not trial.open or time.monotonic() > limit:
                break
    if trial.red:
        print(f"Far behind {LIBWEBRTC}, {TRIES} times: {', '.join(trial.red)}.")
    unjudged = [line for line in trial.open if line not in trial.red]
    if unjudged:
        print(f"Couldn't be judged, or not often enough, on a machine that others use: {', '.join(unjudged)}.")
    return not trial.red
