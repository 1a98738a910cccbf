"""What one check of the doctor's says."""

from dataclasses import dataclass

from sinchphone.cli.terminal.output.listings import CheckResult


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    result: CheckResult
    summary: str
    hint: str | None = None
