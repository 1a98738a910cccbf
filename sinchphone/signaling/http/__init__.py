"""HTTP under both REST dialects: one request, the platform's clock, tokens from a backend."""
