"""Hearth: a private LLM host as code (Docker, Ollama and Apache httpd, deployed with pyinfra)."""

__version__ = "0.1.0"
