"""Measurements against what people would pick instead: see README.md."""
