"""Why tests were tried again, told at the end of a run: it is told nowhere else where the second try is fine."""

from pathlib import Path
from typing import Any


def tell_reasons(terminal: Any) -> None:
    """One line for each try that failed and wasn't the last."""
    reports = terminal.stats.get("rerun", ())
    if reports:
        terminal.write_sep("-", "why tests were tried again")
    for report in reports:
        terminal.write_line(f"{report.nodeid}: {reason_of(report)}")


def reason_of(report: Any) -> str:
    """What was raised, and where in the tests."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return str(report.longrepr).strip().splitlines()[-1]
    locations = [entry.reprfileloc for entry in report.longrepr.reprtraceback.reprentries if getattr(entry, "reprfileloc", None)]
    ours = [one for one in locations if "tests" in Path(one.path).parts] or [crash]
    return f"{Path(ours[-1].path).name}:{ours[-1].lineno}: {crash.message.splitlines()[0]}"
