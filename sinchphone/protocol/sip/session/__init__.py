"""A SIP session as a machine: its states, who calls and who is called, changes in the middle, its timer."""
