"""MXP v10: messages as JSON and ciphertext, cut into fragments; instant messages; public headers."""
