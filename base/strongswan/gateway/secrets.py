"""Secrets from mounted files to files in memory: they never are an argument, a variable of the environment or a log."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from pathlib import Path

from gateway.settings import Tunnel

KEYS = Path("/opt/tunnelfleet/keys")
"""Where the pre-shared keys are mounted, each in a file named for its connection."""
CONFIGURATION = Path("/run/swanctl/secrets.conf")
"""What swanctl.conf includes; on a file system in memory."""


class SecretError(Exception):
    """A secret is missing or cannot be used; says where, never what."""


def read_secret(path: Path) -> bytes:
    """The secret in a file: its bytes without one newline at the end, which editors and `echo` add.

    Raises SecretError where there is none.
    """
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise SecretError(f"{path}: {error.strerror}") from error
    secret = secret.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise SecretError(f"{path}: empty")
    return secret


def swanctl_secrets(keys: Iterable[tuple[Tunnel, bytes]]) -> str:
    """Section `secrets` of swanctl.conf. In base64 a key may hold any byte (swanctl.conf(5), secrets.ike.secret)."""
    lines = ["secrets {"]
    for tunnel, key in keys:
        lines += [
            f"  ike-{tunnel.connection} {{",
            f'    id-local = "{tunnel.local_identity}"',
            f'    id-peer = "{tunnel.peer_identity}"',
            f"    secret = 0s{base64.b64encode(key).decode()}",
            "  }",
        ]
    return "\n".join([*lines, "}", ""])


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
