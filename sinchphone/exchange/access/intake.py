"""Whether an exchange still takes anybody in: no new call and no new device once it's about to end."""

from typing import Final

from sinchphone.exchange.refusals import RefusedError
from sinchphone.signaling.wire import ErrorCode

FULL_RETRY_SECONDS: Final = 5  # by then another one may have its place
WHY_CLOSED: Final = "the exchange is about to end and takes no new calls"


class Intake:
    """Of one exchange. Open until it's closed."""

    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        """From now on nobody new is taken."""
        self.is_open = False

    def check(self) -> None:
        """Raises RefusedError once it's closed."""
        if not self.is_open:
            raise RefusedError(503, ErrorCode.INTERNAL, WHY_CLOSED, retry_s=FULL_RETRY_SECONDS)
