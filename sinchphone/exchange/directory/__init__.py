"""Who is known: applications, users, devices, and how they prove it."""
