"""Managed push: what a push says, and the user agent that gets pushes."""
