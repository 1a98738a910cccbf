"""PAPI v1, the older REST dialect, as a server speaks it."""
