"""What a backend is told about a call, and what it may answer: events, SVAML, SSML."""
