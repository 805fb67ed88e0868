"""What every run on pyinfra shares: commands, lock, keepalive, explanations, the checkout it was started from."""
