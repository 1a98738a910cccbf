"""Events as programs read them, each with its fields, and their JSON schema."""
