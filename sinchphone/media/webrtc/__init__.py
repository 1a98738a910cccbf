"""A leg over WebRTC: ICE, DTLS-SRTP and Opus, joined from aiortc's and aioice's parts; ``port.WebRtcPort`` is the door."""
