"""Requests that the proxy must refuse, allow and survive: one table for httpd on loopback and for deployed hosts."""
