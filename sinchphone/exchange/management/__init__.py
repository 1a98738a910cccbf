"""What whoever runs an exchange asks of it under ``/__sinchphone``: who is there, what came, and what it's told. No page does."""
