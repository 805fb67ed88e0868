"""A backend on :5001 of the lab's machine, there before the deploy, as the Flask of the project's first user was.

The guest has no Python; systemd's own socket activation answers. Started with `python -m tests.lab.backend`.
"""

from __future__ import annotations

from tests.lab.machine import on_guest

PORT = 5001
UNIT = "test-backend"
ANSWER = "an old backend that nobody touches"
# Where the unit's invocation id is kept: it changes when the service is restarted.
RECORD = "/var/tmp/test-backend.invocation"


def start() -> None:
    """Start the backend and record its invocation id."""
    body = f"{ANSWER}\\n"
    response = f"HTTP/1.0 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: {len(ANSWER) + 1}\\r\\n\\r\\n{body}"
    on_guest(
        f"sudo systemd-run --quiet --unit {UNIT} systemd-socket-activate --listen 0.0.0.0:{PORT} --inetd --accept "
        # Read the request's first line before answering, or closing would reset the connection.
        f"""sh -c 'while read -r line && [ "${{line%?}}" ]; do :; done; printf "{response}"' && """
        f"systemctl show {UNIT} --property InvocationID | sudo tee {RECORD} >/dev/null"
    )


if __name__ == "__main__":
    start()
