"""What people hear over bad lines: PESQ and delay of ours, Chromium, libwebrtc, stock aiortc and baresip; for all, the same are lost.

usage: python tests/benchmarks/quality.py [--seeds N] [--set report|tuning] [--systems "NAME;…"] [--conditions "NAME;…"] [--minutes N]
       python tests/benchmarks/quality.py --plan         which rows that makes, and how long they take, without measuring
       python tests/benchmarks/quality.py --table        what was measured of this version, without measuring
       python tests/benchmarks/quality.py --markdown     the same as the documentation tells it: score (worst) / ms, kbit/s
       python tests/benchmarks/quality.py --quick        half a minute; fails where ours is far behind libwebrtc (in CI: quality_quick.py)

::

    peer a (process, namespace) -- relay that loses and delays (emulator.py) -- peer b (process, namespace) -> what it heard -> PESQ

Needs Linux, root, /dev/net/tun; espeak-ng and recorded sentences (speech.py); PyPI's pesq, and wrtc for libwebrtc M152 (installed into
a cache folder); Debian's chromium; baresip-core, pulseaudio and libasound2-plugins for baresip. Systems whose programs aren't there are
left out, and named.

A row is one line with one seed: all systems are called in one run, then judged, and the row is kept (--rows FILE, of JSON lines). What
is kept of the same version of the sound, set and number of sentences isn't measured again: a run that ended can be taken up. First all
lines are measured with one seed, in the order in which they are named, then with the next; what --minutes don't suffice for is left out.
Each seed has sentences of its own, as far as there are more. Constants of the program may be chosen on the set *tuning*; tables that are
told are of the set *report*, of other sentences, voices and patterns of loss.

Delays are one way, from the moment 20 ms of sound are handed over, at once, to the moment they are asked for; of it the line takes
20 ms. (Of Chromium, from its fake capture to its playback, between two worklets that are alike.) Of baresip, which plays through a sound
server, no delay is told. A call during which others took the CPU is made again. The relay and all peers have a high priority.

A receiver that is busy for 100 ms at a time: its program's own loop is (Python's, the page's), twice a second, and the player goes on.
"""

import argparse
import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import emulator
import platformdirs
import quality_plan as plan
import quality_rows as rows
import speech
from line import ALL, named
from quality_calls import SYSTEMS, available, can_take
from quality_quick import quick
from quality_run import Run

SENTENCES, AT_ONCE = 3, 3
PROJECT = Path(__file__).parents[2]
SOUND = ("sinchphone/audio", "sinchphone/media", "sinchphone/protocol")  # what decides how it sounds


def version() -> str:
    """Of the program that is measured: what is committed of its sound, and a plus where it was changed since."""
    git = ["git", "-C", str(PROJECT)]
    trees = subprocess.run([*git, "rev-parse", *(f"HEAD:{part}" for part in SOUND)], capture_output=True, text=True, check=False).stdout
    changed = subprocess.run([*git, "status", "--porcelain", *SOUND], capture_output=True, text=True, check=False).stdout
    return hashlib.sha256(trees.encode()).hexdigest()[:12] + ("+" if changed else "")


def measure(given: argparse.Namespace, keys: Sequence[rows.Key], kept: rows.Rows) -> None:
    """What isn't kept yet, until the time is over."""
    systems = list(available(given.systems.split(";")))
    todo = wanted(keys, systems, kept)
    limit = time.monotonic() + 60 * given.minutes
    with Run(systems, given.at_once) as run:
        for count, key in enumerate(todo, 1):
            if time.monotonic() + plan.seconds(key, systems, given.at_once, plan.spoken_s(key)) > limit:
                print(f"\n{key.line}, {key.seed} is left out: the time is over.", file=sys.stderr)
                continue
            print(f"\r{count} of {len(todo)} rows: {key.line}, {key.seed}    ", end="", file=sys.stderr, flush=True)
            for row in run.measured([key]):
                kept.keep(row)


def wanted(keys: Sequence[rows.Key], systems: Sequence[str], kept: rows.Rows) -> list[rows.Key]:
    """Those of which something isn't kept yet."""
    return [key for key in keys if not kept.has(key, [each for each in systems if can_take(each, named(key.line))])]


def known(named: str, there_are: Sequence[str]) -> list[str]:
    """The names in it; the program ends where there is none of that name."""
    names = named.split(";")
    for name in names:
        if name not in there_are:
            sys.exit(f"There is no {name!r}. There are: {'; '.join(there_are)}.")
    return names


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--set", choices=list(speech.SETS), default="report")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=SENTENCES)
    parser.add_argument("--systems", default=";".join(SYSTEMS))
    parser.add_argument("--conditions", default=";".join(each.name for each in ALL))
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rows", type=Path, default=platformdirs.user_cache_path("sinchphone-tests") / "quality.jsonl")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended then too
    lacks = emulator.missing() or speech.missing(given.set)
    if lacks is not None and not (given.table or given.markdown or given.plan):
        print(f"This benchmark needs {lacks}.", file=sys.stderr)
        sys.exit(0 if given.quick else 1)
    if given.quick:
        sys.exit(0 if quick() else 1)
    lines, systems = known(given.conditions, [each.name for each in ALL]), known(given.systems, SYSTEMS)
    keys = plan.keys(version(), given.set, lines, given.seeds, given.sentences)
    kept = rows.Rows(given.rows)
    if given.plan:
        print(plan.told(wanted(keys, systems, kept), systems, given.at_once, given.minutes))
        return
    if not (given.table or given.markdown):
        measure(given, keys, kept)
    print((rows.markdown if given.markdown else rows.report)(kept.of(keys), systems, lines))


if __name__ == "__main__":
    main()
