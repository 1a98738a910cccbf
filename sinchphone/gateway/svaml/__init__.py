"""Carries out a backend's SVAML on a call: instructions, menus, parking; recordings and streams."""
