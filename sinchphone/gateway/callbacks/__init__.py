"""Asks the developer's backend what to do with a call: ICE, ACE and DiCE, answered in SVAML."""
