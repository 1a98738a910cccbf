"""The embedded exchange: the platform's wire protocol on loopback, for calls without an account and for tests."""
