"""Several hosts on one LAN, without emulation: lab/house.py."""
