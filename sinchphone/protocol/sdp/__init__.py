"""Session descriptions: SDP itself, offer and answer, and what of them travels in messages. Pure."""
