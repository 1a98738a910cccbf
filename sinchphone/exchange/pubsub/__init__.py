"""The pub/sub network: the broker, its time tokens, and who polls it."""
