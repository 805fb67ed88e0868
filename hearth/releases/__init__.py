"""Releases: what is served, its trial, and the way back."""
