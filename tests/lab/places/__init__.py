"""Supported kinds of hosts other than the lab's usual guest, as realistic as the lab allows."""
