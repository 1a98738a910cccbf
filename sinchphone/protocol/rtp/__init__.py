"""RTP and RTCP as bytes, and what goes in them: redundancy, requests for what was lost, digits."""
