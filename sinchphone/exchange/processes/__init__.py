"""What the processes of one exchange ask of each other."""
