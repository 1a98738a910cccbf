"""SIP (RFC 3261 and its companions). Pure: no sockets, no clock, no randomness."""
