"""What ``doctor`` checks, here and on the way to the platform, and what it finds."""
