"""The calls that are open, and how they get to whom they are for."""
