"""Environments for the doctor's tests: loopback servers with the faults of real ones, and isolated networks."""
