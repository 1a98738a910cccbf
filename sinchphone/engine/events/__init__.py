"""What a client tells, in order, to any number of readers and listeners."""
