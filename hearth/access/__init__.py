"""Passwords and API keys of those who may call."""
