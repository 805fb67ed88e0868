"""Whether hosts match their settings: `python -m hearth.drift INVENTORY`."""
