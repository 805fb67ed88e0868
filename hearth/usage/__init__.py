"""Usage by caller and day, from httpd's access log."""
