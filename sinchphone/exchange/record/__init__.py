"""One bounded record of what happens in an exchange: rooms put facts in, readers look; neither knows the other."""
