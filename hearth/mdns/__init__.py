"""The host's name on its network: <host>.local, by multicast DNS."""
