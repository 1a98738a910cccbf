"""The media of calls between two outside ends, behind one interface."""
