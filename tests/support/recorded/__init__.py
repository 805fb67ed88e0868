"""Outputs of real systems that no lab has, as their owners published them. Each says where."""
