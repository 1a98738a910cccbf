"""Doors for sound: WebRTC, devices, files, and the thread that serves them."""
