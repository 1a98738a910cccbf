"""The two ends of a bridged call: MXP and SIP, incoming and outgoing."""
