"""Removing Hearth from a host."""
