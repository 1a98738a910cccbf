"""The pictures of a call in the terminal. Nothing in here is loaded by a call without video."""
