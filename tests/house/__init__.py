"""Several hosts on one LAN (`lab/house.py`), with real deploys and without emulation."""
