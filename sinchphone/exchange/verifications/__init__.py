"""Verification of phone numbers (Sinch Verification, v1): codes by text message and call, flash calls."""
