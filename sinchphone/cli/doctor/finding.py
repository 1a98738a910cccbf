"""What one check of the doctor's says."""

from typing import Final

from sinchphone.cli.terminal.output.listings import CheckResult
from sinchphone.quick_dataclass import quick_dataclass

TRY_AGAIN_HINT: Final = "check the network; try it again with -v"
NO_DEVICES_HINT: Final = "connect one, or start the sound server; calls work without, see --play and --record"


@quick_dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    result: CheckResult
    summary: str
    hint: str | None = None
