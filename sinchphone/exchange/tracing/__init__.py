"""The record as people read it: names for addresses, messages decrypted and put together, secrets as stars."""
