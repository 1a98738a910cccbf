"""The SIP side of the exchange: transports, name resolution, limits, user agent, registrar."""
