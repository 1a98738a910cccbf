"""The environment that needs no account, and the exchange that it finds or hosts, with everything that can be called there."""

from sinchphone.local.configured_gateway import ConfiguredGateway
from sinchphone.local.environment import Local

__all__ = ["ConfiguredGateway", "Local"]
