"""ICE: the agent and its restarts, STUN and TURN servers, and whether the path still works."""
