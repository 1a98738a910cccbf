"""One call: its machine and what drives it, its peers, its events and details, its quality."""
