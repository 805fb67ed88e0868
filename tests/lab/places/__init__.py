"""Hosts that are otherwise than the lab's: where Hearth is promised to run, made as real as the lab can."""
