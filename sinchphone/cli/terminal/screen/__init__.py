"""What stands on the screen while a command runs: whole lines, the status line, statistics, and what calls for attention."""
