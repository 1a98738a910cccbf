"""The platform's current REST dialect, Ocra."""
