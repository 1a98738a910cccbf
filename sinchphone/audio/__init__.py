"""Samples, pure: no socket, no clock, no device. One format inside: 48 kHz, mono, int16, frames of 20 ms."""
