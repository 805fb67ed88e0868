"""What pyinfra runs besides deploy.py; `make help` has a target for each."""
