"""The parts of a deploy, in the order of deploy.py."""
