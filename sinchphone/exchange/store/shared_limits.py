"""What counts over all processes of an exchange: allowances that come back with time, what is used once, and whom one trusts."""

from typing import Protocol

from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Limit:
    """``most`` at once, ``a_second`` more as time goes by."""

    name: str
    most: float
    a_second: float


class SharedLimits(Protocol):
    """``application`` is a key; ``who`` is whoever asks, in any words; ``now`` is in seconds since the epoch."""

    async def has(self, limit: Limit, application: str, who: str, now: float) -> bool:
        """Whether something is left. Raises StoreError."""

    async def take(self, limit: Limit, application: str, who: str, now: float) -> bool:
        """Use some; False where nothing is left. Raises StoreError."""

    async def claim(self, application: str, signer: str, signature: str, now: float) -> None:
        """Use a signature that was verified. It counts from now on, whatever comes of the request: one that failed could succeed later.
        Raises RefusedError where it was used before, and StoreError."""

    async def trust(self, application: str, who: str) -> None:
        """That one has proved who it is. Raises StoreError."""

    async def trusts(self, application: str, who: str) -> bool:
        """Whether that one has, not long ago. Raises StoreError."""
