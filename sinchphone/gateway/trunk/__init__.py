"""The trunk to the telephone network: its rules, its registration, its addresses."""
