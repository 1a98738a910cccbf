"""Stands for the backend of a call whose application has none: there is nobody to ask, and nobody to tell."""

from typing import Final

from sinchphone.gateway.callbacks.backend import CallbackError
from sinchphone.protocol.callbacks.events import Notification
from sinchphone.protocol.callbacks.menu import MenuResult
from sinchphone.protocol.callbacks.svaml import Svaml


class NoBackend:
    """Implements ``svaml.script.Prompted`` and ``svaml.recording.Notified``."""

    async def prompted(self, result: MenuResult) -> Svaml:
        """Raises CallbackError."""
        raise CallbackError("there is no backend to ask what to do after a menu", hint="[backend] url says where one is")

    def left(self, result: MenuResult) -> None:
        """Nobody is told."""

    def notify(self, news: Notification) -> None:
        """Nobody is told."""


NO_BACKEND: Final = NoBackend()
