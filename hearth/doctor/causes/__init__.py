"""Every cause that the doctor knows, with its cure."""
