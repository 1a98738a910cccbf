"""Instant messages: who takes part, and what waits for whoever is away."""
