"""A backend on :5001 of the lab's machine that exists before the deploy, like the first user's Flask application.

The guest has no Python, so systemd's socket activation responds. Started with `python -m tests.lab.backend`.
"""

from __future__ import annotations

from tests.lab.machine import on_guest

PORT = 5001
UNIT = "test-backend"
ANSWER = "an old backend that is not touched"
# File with the unit's invocation id, which changes when the service is restarted.
RECORD = "/var/tmp/test-backend.invocation"


def start() -> None:
    """Start the backend and record its invocation id."""
    body = f"{ANSWER}\\n"
    response = f"HTTP/1.0 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: {len(ANSWER) + 1}\\r\\n\\r\\n{body}"
    on_guest(
        f"sudo systemd-run --quiet --unit {UNIT} systemd-socket-activate --listen 0.0.0.0:{PORT} --inetd --accept "
        # Read the request before responding, or closing would reset the connection.
        f"""sh -c 'while read -r line && [ "${{line%?}}" ]; do :; done; printf "{response}"' && """
        f"systemctl show {UNIT} --property InvocationID | sudo tee {RECORD} >/dev/null"
    )


if __name__ == "__main__":
    start()
