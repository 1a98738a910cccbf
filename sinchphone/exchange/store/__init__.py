"""What an exchange remembers: one interface, and what keeps it."""
