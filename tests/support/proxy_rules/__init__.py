"""What the proxy must refuse, let through and outlast: one table, for httpd on loopback and for a deployed host."""
