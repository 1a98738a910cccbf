"""The Ocra REST dialect, as a server speaks it."""
