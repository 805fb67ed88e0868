"""Arbitrary settings: either one clear error, or files that match the settings exactly."""
