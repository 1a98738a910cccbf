"""Digits of one leg: pressed and sent, and heard in the sound."""
