"""The REST API of voice: callouts, calls, numbers."""
