"""Where sound comes in and goes out: WebRTC, plain RTP, devices, files, and the thread that serves them."""
