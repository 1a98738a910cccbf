"""The user's place at a call: devices, files, levels, the signals that are heard."""
