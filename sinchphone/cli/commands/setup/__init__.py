"""What is arranged and checked before calls: configuration, credentials, devices."""
