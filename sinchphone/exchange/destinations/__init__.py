"""What can be called beside users: the dial plan and who answers it."""
