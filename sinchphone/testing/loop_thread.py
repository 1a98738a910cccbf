"""An event loop in a thread of its own, so that tests need no loop, and may have any: exchange, phones and backend run there."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

LOOK_S: Final = 0.05  # between two looks whether something has come
PATIENCE_S: Final = 60.0  # for what comes to an end by itself: starts, ends, requests

Result = TypeVar("Result")


class LoopThread:
    """A loop that runs until ``close``."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._work, name="sinchphone fixtures", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], seconds: float = PATIENCE_S) -> Result:
        """What ``work`` returns or raises. Raises TimeoutError when it takes longer than that; it's cancelled then, and where the test is
        interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(seconds)
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End it: what still runs there is cancelled, and cleans up; waits PATIENCE_S for that."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)

    def _work(self) -> None:
        with self._runner:
            self.loop.run_forever()
