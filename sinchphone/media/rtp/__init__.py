"""A leg over plain RTP or SDES-SRTP, as phones, trunks and PBXs speak it; the others see ``port.RtpPort`` only."""
