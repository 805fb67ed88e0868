"""One address that several hosts share: the distribution's keepalived moves it to one whose httpd responds."""
