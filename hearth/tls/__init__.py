"""Certificates: local CA, your own files, ACME."""
