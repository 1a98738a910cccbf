"""Transfers of one call: asking for one, following one, and whose calls come in the place of the peer's."""
