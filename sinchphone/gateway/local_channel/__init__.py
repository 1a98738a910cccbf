"""Calls between two ends inside the gateway: legs and ports that are joined in memory, without packets."""
