"""The command line: people and shells."""
