"""Releases: test, accept, roll back."""
