"""All causes that the doctor can report, each with its cure."""
