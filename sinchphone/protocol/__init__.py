"""Bytes and states of the wire, pure: no socket, no clock, no randomness. Time and random bytes are arguments."""
