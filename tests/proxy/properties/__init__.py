"""Any settings at all: either one clear error, or files that say what the settings said, and nothing else."""
