"""Broken worlds for the doctor: servers on loopback that answer as each of them does."""
