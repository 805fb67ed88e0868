"""Ollama's models: names, sizes, disk, pulls."""
