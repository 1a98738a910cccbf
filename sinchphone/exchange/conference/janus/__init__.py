"""Conference rooms that a Janus mixes (its AudioBridge plugin)."""
