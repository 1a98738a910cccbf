"""Values of single header fields of SIP."""
