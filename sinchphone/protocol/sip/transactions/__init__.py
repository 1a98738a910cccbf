"""Transactions of SIP (RFC 3261 17, RFC 6026): one as a machine, and the layer that knows all of one agent."""
