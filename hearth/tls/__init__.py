"""Certificates: local CA, own files, ACME."""
