"""The diagnosis that runs on the user's own machine: `python -m hearth.doctor http://pi.local:85`.

It walks the path that a request takes, step by step, and names cause and cure of what fails. Nothing here
imports anything outside the standard library, so that it works before `make setup`; `inside.py` starts pyinfra.
"""
