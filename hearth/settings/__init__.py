"""The settings: their types, the rules they obey, and loading them with errors that name what to write instead."""
