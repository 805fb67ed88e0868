"""What several kinds of tests share: recorded outputs, case tables, stand-in hosts, checks of the repository."""
