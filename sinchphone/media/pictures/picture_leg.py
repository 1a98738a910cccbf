"""The picture face of a port, which may be handed out before the port is connected, and in a call that has no pictures at all."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # a call without pictures loads nothing of them
    from sinchphone.picture.frame import Picture

    Shower: TypeAlias = Callable[[Picture, float], None]


class PictureLeg:
    """Where pictures come from and go to. Any thread."""

    def __init__(self) -> None:
        self._push: Callable[[Picture], None] | None = None
        self._shower: Shower | None = None
        self._limits: tuple[int, int, float] | None = None
        self._describe: Callable[[int, int, float], None] | None = None

    def join(self, push: "Callable[[Picture], None]", describe: Callable[[int, int, float], None]) -> None:
        """From now on pictures are sent by ``push``; ``describe`` is told the size and rate of what is to come."""
        self._push, self._describe = push, describe
        if self._limits is not None:
            describe(*self._limits)

    def describe(self, width: int, height: int, rate: float) -> None:
        """The pictures that follow are of that size, so many a second, at most."""
        self._limits = (width, height, rate)
        if self._describe is not None:
            self._describe(width, height, rate)

    def send(self, picture: "Picture") -> None:
        """Send a picture of now; ``taken_at`` is of ``time.monotonic``. Never waits: a newer one takes the place of one that waits."""
        if self._push is not None:
            self._push(picture)

    def on_picture(self, shower: "Shower | None") -> None:
        """Give the peer's pictures to ``shower``, with the time (of ``time.monotonic``) at which its sound of the same moment is heard.
        It's called in the decoder's thread and must not block."""
        self._shower = shower

    def show(self, picture: "Picture", at: float) -> None:
        """A picture of the peer."""
        shower = self._shower
        if shower is not None:
            shower(picture, at)
