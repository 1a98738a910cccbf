"""A call's media as the engine has it: its ports, servers, sound and pictures, and how well it is heard."""
