"""The platform's REST dialects and pub/sub network, and one call's MXP conversation on top of them."""
