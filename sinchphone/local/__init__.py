"""The environment that needs no account, and the exchange that it finds, hosts or starts, with everything that can be called there.

Each name is loaded when it is first used: who only looks for an exchange doesn't load what hosting needs.
"""

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sinchphone.local.configured_gateway import ConfiguredGateway
    from sinchphone.local.environment import Local

__all__ = ["ConfiguredGateway", "Local"]

_HOMES = {"ConfiguredGateway": "configured_gateway", "Local": "environment"}


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
