"""Tones: those that tell how a call is going, and digits that are heard."""
