"""Names of the Ocra dialect out of a client's package that somebody has."""
