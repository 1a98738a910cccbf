"""Pushes: the exchange's own push service, and what sends pushes to it and to others."""
