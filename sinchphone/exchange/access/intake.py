"""Whether an exchange still takes anybody in: no new call and no new device once it's about to end."""

import asyncio
from typing import Final

from sinchphone.exchange.refusals import RefusedError
from sinchphone.signaling.wire import ErrorCode

FULL_RETRY_SECONDS: Final = 5  # by then another one may have its place
WHY_CLOSED: Final = "the exchange is about to end and takes no new calls"


class Intake:
    """Of one exchange. Open until it's closed."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether somebody new is taken."""
        return not self._closed.is_set()

    def close(self) -> None:
        """From now on nobody new is taken."""
        self._closed.set()

    async def closed(self) -> None:
        """Return once it's closed."""
        await self._closed.wait()

    def check(self) -> None:
        """Raises RefusedError once it's closed."""
        if not self.is_open:
            raise RefusedError(503, ErrorCode.INTERNAL, WHY_CLOSED, retry_s=FULL_RETRY_SECONDS)
