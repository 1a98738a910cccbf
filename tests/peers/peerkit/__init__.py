"""Real peers on loopback: how they are configured, started, driven, heard and stopped."""
