"""A leg over WebRTC: ICE, DTLS-SRTP and Opus, joined from aiortc's and aioice's parts; the others see ``port.WebRtcPort`` only."""
