"""Conference rooms: who is in which, what they hear, and the REST API that mutes and removes them."""
