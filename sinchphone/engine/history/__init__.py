"""Past calls and messages: kept, read and forgotten."""
