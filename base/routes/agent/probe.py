"""Asks the agent for its state: `probe.py alive|ready|state|routes|release`.

Ends with 0 where the answer is yes, or was given. Imports next to nothing: the probes run it every few seconds.
"""

import socket
import sys

SOCKET = "/run/tunnelfleet/agent.sock"


def ask(question: str, path: str = SOCKET) -> str:
    """The agent's answer. Raises OSError where there is none within five seconds."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(path)
        connection.sendall(question.encode() + b"\n")
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer.decode()


if __name__ == "__main__":
    try:
        text = ask(sys.argv[1] if len(sys.argv) > 1 else "state")
    except OSError as error:
        sys.exit(f"{SOCKET}: {error}")
    print(text, end="")
    sys.exit(text == "no\n")
