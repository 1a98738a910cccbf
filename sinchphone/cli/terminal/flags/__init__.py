"""Options of commands, each written once, and groups of commands that are imported when they run."""
