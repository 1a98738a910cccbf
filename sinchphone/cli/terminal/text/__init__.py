"""What is written to a terminal: colours, characters that it can show, lines that wrap, and nothing that it would obey."""
