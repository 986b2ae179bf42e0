"""A network namespace of the test's own, and the program that looks into it."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator

import pytest

_NEW_NETWORK = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_INTERFACES = """
link set lo up
link add ens3 type veth peer name wire
link set wire up
link set ens3 up
address add 172.27.48.11/20 dev ens3
address add 172.27.48.20/20 dev ens3
link add ss0 type veth peer name inside
link set inside up
link set ss0 up
address add 169.254.100.1/30 dev ss0
link add cilium_vxlan type vxlan external dstport 8472
link set cilium_vxlan up
"""


def node_network() -> Iterator[None]:
    """A node's network: the test's thread is in it, and so are the programs that it starts."""
    if os.geteuid() != 0:
        pytest.skip("the kernel's routes are not tested: a network namespace needs root")
    with open("/proc/thread-self/ns/net", "rb") as home:
        if _LIBC.unshare(_NEW_NETWORK) != 0:
            pytest.skip(f"no network namespace can be made here: {os.strerror(ctypes.get_errno())}")
        try:
            try:
                ip("-batch", "-", text=_INTERFACES)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"this kernel lacks VXLAN or veth: {error.stderr}")
            yield
        finally:
            assert _LIBC.setns(home.fileno(), _NEW_NETWORK) == 0


def ip(*arguments: str, text: str = "") -> str:
    done = subprocess.run(["ip", *arguments], input=text, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout
