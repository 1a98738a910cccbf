"""Calls that end in the exchange itself: with attendants, in rooms and with the streams of backends."""
