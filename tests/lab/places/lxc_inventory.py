"""The LXC container inside the lab's guest, for pyinfra and for the acceptance suite; see lxc.py."""

from tests.lab.places.lxc import HOST as _HOST
from tests.lab.places.lxc import inventory_data as _inventory_data

lxc = [(_HOST, _inventory_data())]
