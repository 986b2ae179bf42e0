"""The configuration that FRR runs: the overlay's frr.conf with the passwords of BGP sessions added."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from gateway import secrets
from gateway.settings import Gateway

SOURCE = Path("/opt/tunnelfleet/config/frr.conf")
PASSWORDS = Path("/opt/tunnelfleet/passwords")
"""Where the passwords are mounted, each in a file named for its site."""
FOLDER = Path("/etc/frr")
"""On a file system in memory."""

# TCP MD5 takes 80 bytes (linux/tcp.h, TCP_MD5SIG_MAXKEYLEN); FRR's commands end at a space.
_PASSWORD = re.compile(rb"[!-~]{1,80}")
_ROUTER = re.compile(r"^router bgp .*$", re.M)


def write(gateway: Gateway) -> None:
    """Writes frr.conf and vtysh.conf for `vtysh -b`. Raises SecretError, OSError."""
    text = with_passwords(SOURCE.read_text(), gateway, lambda name: secrets.read_secret(PASSWORDS / name))
    secrets.write_private(FOLDER / "frr.conf", text)
    secrets.write_private(FOLDER / "vtysh.conf", "service integrated-vtysh-config\n")


def with_passwords(text: str, gateway: Gateway, password: Callable[[str], bytes]) -> str:
    """The configuration with a line for each session that has a password. Raises SecretError where one is no use."""
    lines = [
        f" neighbor {tunnel.peer} password {_usable(tunnel.password_file, password(tunnel.password_file))}\n"
        for tunnel in gateway.tunnels
        if tunnel.password_file
    ]
    router = _ROUTER.search(text)
    return text + "".join([router[0] + "\n", *lines, "exit\n"]) if router and lines else text


def _usable(name: str, password: bytes) -> str:
    if not _PASSWORD.fullmatch(password):
        raise secrets.SecretError(f"{name}: a BGP password is 1 to 80 printable characters without spaces")
    return password.decode()
