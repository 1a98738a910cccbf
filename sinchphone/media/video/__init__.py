"""A leg's pictures: codecs, what is sent and what comes. Nothing in here is loaded by a call without video."""
