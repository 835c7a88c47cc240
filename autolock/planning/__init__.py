"""Choosing one Guard for a Location: which lock, where it lives, what it spans."""
