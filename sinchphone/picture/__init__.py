"""Pictures, pure: no camera, no codec, no terminal. One format inside: I420, 8 bits, as numpy has it."""
