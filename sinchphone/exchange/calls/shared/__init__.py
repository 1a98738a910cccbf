"""Calls that several processes of the exchange share: what each tells the others, asks of them, and takes on."""
