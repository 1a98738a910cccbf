"""A person's pictures: cameras, files and test pictures, joined to a leg. Nothing in here is loaded by a call without video."""
