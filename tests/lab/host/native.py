"""The twin on this machine's own kernel, where that can carry it: namespaces of its own, gone when it ends."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from . import running
from .errors import LabError
from .job import GRACE, Job, checked, script

ENTER = Path(__file__).with_name("enter")
_NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")


@dataclass(frozen=True, slots=True)
class Need:
    """Something that the twin asks of the kernel, and a command that succeeds in a new namespace where it is there."""

    what: str
    command: str


_ESP = 'aead "rfc4106(gcm(aes))" 0x0102030405060708090a0b0c0d0e0f1011121314 128 encap espinudp 4500 4500 0.0.0.0'
NEEDS = (
    Need("network namespaces", "ip link set lo up"),
    Need("XFRM interfaces", "ip link add probe type xfrm if_id 1"),
    Need("ESP", f"ip xfrm state add src 127.0.0.1 dst 127.0.0.2 proto esp spi 1 reqid 1 mode tunnel {_ESP}"),
    Need("VXLAN", "ip link add probe type vxlan external dstport 8472"),
    Need("veth", "ip link add probe type veth peer name other"),
    Need("bridges", "ip link add probe type bridge"),
    Need("nexthop objects", "ip link set lo up && ip nexthop add id 1 blackhole"),
    Need("nftables", "nft 'add table ip probe; add chain ip probe nat { type nat hook postrouting priority 100; }'"),
    Need("overlay file systems", "mount -t tmpfs probe /mnt && cd /mnt && mkdir a b c d && "
         "mount -t overlay -o lowerdir=a,upperdir=b,workdir=c probe d"),
)  # fmt: skip


def missing(lab: Path) -> str | None:
    """The first thing that this machine's kernel, or whoever runs this, cannot do; None where the twin can run.

    It is tried for real, with the programs of the machine's tree, in scratch namespaces.
    """
    for need in NEEDS:
        argv = ["unshare", "--net", "--mount", "chroot", str(lab), "sh", "-c", need.command]
        try:
            done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return need.what
        if done.returncode != 0:
            return need.what
    return None


def run(job: Job, lab: Path, image: Path, output: BinaryIO | None = None) -> int:
    """Runs the job in new namespaces and gives its exit code; nothing that it does outlives it.

    `lab` and `image` are the two trees, which stay as they are. Raises LabError where it is not done in time.
    """
    with tempfile.TemporaryDirectory(prefix="tunnelfleet-lab.") as scratch:
        folder = Path(scratch)
        (folder / "root").mkdir()
        results = job.results or folder / "results"
        results.mkdir(parents=True, exist_ok=True)
        (folder / "job").write_text(script(job))
        (folder / "job").chmod(0o755)
        argv = command(folder, lab, image, job.workspace, results)
        began = time.monotonic()

        def watch() -> None:
            if time.monotonic() - began > job.seconds + GRACE:
                raise LabError(f"the twin was not done within {job.seconds + GRACE:g} s")

        # where its output goes its complaints go too
        errors = None if job.interactive else subprocess.STDOUT
        code = running.run(argv, watch, interactive=job.interactive, output=output, errors=errors)
        return checked(code, job)


def command(folder: Path, lab: Path, image: Path, workspace: Path, results: Path) -> list[str]:
    """The command line of unshare(1); `folder` holds the job's script and an empty folder."""
    return [
        *("unshare", *_NAMESPACES, "--fork", "--kill-child", "--propagation", "private"),
        str(ENTER),
        *map(str, (folder / "root", lab.resolve(), image.resolve(), workspace.resolve(), results.resolve())),
        str(folder / "job"),
    ]
