"""Doors for sound: WebRTC, plain RTP, devices, files, and the thread that serves them."""
