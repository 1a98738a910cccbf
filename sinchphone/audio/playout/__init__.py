"""From packets to sound without gaps: the jitter buffer, time-stretching, concealment."""
