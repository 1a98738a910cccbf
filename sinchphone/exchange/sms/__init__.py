"""Text messages to phone numbers, which nobody gets here: an inbox keeps them, and the SMS API hands them in."""
