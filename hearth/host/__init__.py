"""A machine as found: hardware, operating system, listening ports."""
