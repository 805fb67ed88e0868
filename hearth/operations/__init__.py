"""What Hearth does on hosts. Each operation looks first, and yields nothing where nothing is to be done."""
