"""What commands print: events as JSON lines and their schema, the same events as lines for people, lists and results."""
