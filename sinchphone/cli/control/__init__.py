"""What a program says to a running phone: lines of JSON in, each answered among the events."""
