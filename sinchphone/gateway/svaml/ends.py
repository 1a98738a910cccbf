"""Whom a backend's SVAML speaks to: a caller, or who was called by the platform itself."""

from collections.abc import Iterable
from typing import Protocol

from sinchphone.gateway.svaml.tapped_leg import TappedLeg
from sinchphone.media.sound import Party


class ScriptedEnd(Protocol):
    """One end of a call whose sound is here. Methods raise MediaError."""

    async def preview(self) -> None:
        """Let it hear us, early where it isn't answered, and wait until it can."""

    async def pick_up(self) -> None:
        """Answer it, unless it is."""

    async def heard(self) -> None:
        """Wait until sound flows."""

    async def listen(self, party: Party) -> None:
        """It hears and talks to that party from now on, and nobody else."""

    async def send_digits(self, digits: str) -> None:
        """Send it digits; returns when they are sent."""

    async def next_digit(self) -> str:
        """The next that it sends. Cancelling it loses none."""

    def put_back(self, digits: Iterable[str]) -> None:
        """They were not for whoever took them: they come again, before all others."""

    @property
    def leg(self) -> TappedLeg:
        """Where all of its sound passes."""
