"""Where an exchange stands between its start and its end.

::

    starting -> ready -> draining: it serves, but takes no new call -> leaving: another process has the store -> closing
"""

import asyncio


class Lifecycle:
    """Of one exchange. ``ready`` is set once it knows what it knew, ``closing`` when what waits is to end."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.closing = asyncio.Event()
        self.is_draining = False
        self.is_leaving = False

    @property
    def is_serving(self) -> bool:
        """Whether requests are served."""
        return self.ready.is_set() and not self.is_leaving
