"""What is checked on a host before anything on it is changed."""
