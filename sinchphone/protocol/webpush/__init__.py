"""Web Push without a browser: encrypted content, its keys, and how a sender says who it is. Pure."""
