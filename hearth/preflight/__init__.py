"""Checks of a host before anything on it is changed."""
