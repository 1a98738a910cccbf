"""What both REST dialects share: requests and refusals, the registered device and where it is kept, transports of messages."""
