"""A leg over plain RTP or SDES-SRTP, as phones, trunks and PBXs speak it; ``port.RtpPort`` is the door."""
