"""Passwords and API keys of users and API clients."""
