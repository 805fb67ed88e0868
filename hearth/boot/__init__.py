"""The kernel command line of a Raspberry Pi: the memory cgroup, and the restart that enables it."""
