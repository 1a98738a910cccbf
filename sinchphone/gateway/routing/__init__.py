"""Where a call goes: the dial plan, its rules, the networks that are trusted."""
