"""The HTTP proxy through which the host and its containers reach the internet."""
