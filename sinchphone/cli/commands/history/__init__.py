"""``history``: past calls and messages."""
