"""Removing a loudspeaker's echo from what a microphone hears."""
