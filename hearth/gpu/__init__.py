"""GPUs: what a host has, how Ollama's container gets it, and whether Ollama computes on it."""
