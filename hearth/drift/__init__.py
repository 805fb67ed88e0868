"""Compare hosts with their settings: `python -m hearth.drift INVENTORY`."""
