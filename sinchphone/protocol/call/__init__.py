"""The call machine: its states, its inputs and effects, the peers at the other end, how a call ends."""
