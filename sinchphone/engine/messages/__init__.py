"""Instant messages: to whom they go, how they are sent, who has acknowledged them."""
