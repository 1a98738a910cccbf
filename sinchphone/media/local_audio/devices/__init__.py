"""Microphones and loudspeakers: which there are, their streams, and what keeps those open."""
