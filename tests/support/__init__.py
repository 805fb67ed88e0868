"""Shared by several kinds of tests: recorded outputs, case tables, simulated hosts, checks of the repository."""
