"""Where a device's pushes go."""

from dataclasses import field

from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class PushSubscription:
    """Where pushes for a device go, and what they are encrypted for (W3C PushSubscription). ``endpoint`` is a secret of its own: who knows
    it can wake the device."""

    endpoint: str = field(repr=False)
    p256dh: bytes = field(repr=False)
    auth: bytes = field(repr=False)
