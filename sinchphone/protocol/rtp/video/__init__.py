"""Pictures in RTP: payload formats, frames out of packets, requests for key frames. Pure."""
