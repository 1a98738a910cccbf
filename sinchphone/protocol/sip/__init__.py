"""SIP (RFC 3261 and its companions) and the session descriptions that it carries. Pure: no sockets, no clock, no randomness."""
