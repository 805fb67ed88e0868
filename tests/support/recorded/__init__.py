"""Published outputs of real systems that the lab does not have, with their sources."""
