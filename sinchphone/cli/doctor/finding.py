"""What one check of the doctor's says."""

from sinchphone.cli.terminal.output.listings import CheckResult
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    result: CheckResult
    summary: str
    hint: str | None = None
