"""The steps of a diagnosis, one module each."""
