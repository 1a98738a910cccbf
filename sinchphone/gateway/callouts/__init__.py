"""Calls that begin inside the exchange: those that a backend has it make, and those of simulated phones."""
