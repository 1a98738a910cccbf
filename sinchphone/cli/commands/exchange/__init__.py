"""Running the exchange, and asking it."""
