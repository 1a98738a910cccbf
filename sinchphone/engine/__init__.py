"""The phone: a client that registers, makes and takes calls."""
