"""One bridged call: its two sides, their media, what is said to the caller."""
