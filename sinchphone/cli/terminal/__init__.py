"""Streams, keys, signals: the terminal and the machine contract."""
