"""What is done in a call that goes on: by keys, by programs, and in rooms."""
