"""From a destination to a call that is over: what every command that calls shares."""
