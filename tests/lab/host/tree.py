"""The file system of the machine that the twin lives on: Debian 13 packages in .cache/lab-root."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from images.imagebuild.errors import BuildError
from images.imagebuild.mirror import RELEASE, host_sources, sources_for_release
from images.imagebuild.output import replacing
from images.imagebuild.packages import PackageList, parse_package_list

from .errors import LabError

LIST = Path(__file__).parent.parent / "packages.list"
_KERNELS = {"x86_64": "linux-image-cloud-amd64", "aarch64": "linux-image-cloud-arm64"}
_LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/share/zoneinfo/*",
    "/usr/lib/*/gconv/*",
    "/usr/lib/udev/*",
    # what makes an initial RAM disk when a kernel is installed
    "/etc/kernel/*",
)
# Loaded before the twin starts; a node has them, and loading on demand would count as an outage.
MODULES = (
    *("xfrm_interface", "xfrm_user", "esp4", "vxlan", "veth", "bridge", "dummy", "overlay", "sch_netem"),
    *("nf_tables", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "nft_meta_bridge", "nf_conntrack_bridge"),
)
_LOG_LINES = 15


def kernel_package(machine: str) -> str:
    """Debian's kernel for virtual machines of this processor. Raises LabError."""
    if machine not in _KERNELS:
        raise LabError(f"this machine is {machine}; the twin's kernel is for {' or '.join(_KERNELS)}")
    return _KERNELS[machine]


def build(target: Path, stamp: Path) -> None:
    """Makes the tree anew where its recipe has changed: whole or not at all.

    `stamp` is the file that says which recipe the tree was made from. Raises LabError.
    """
    try:
        wanted = digest()
        if target.is_dir() and stamp.exists() and stamp.read_text().strip() == wanted:
            return
        if os.geteuid() != 0:
            raise LabError(f"{target} is made by root, because its files have owners: run `sudo make lab`")
        if shutil.which("mmdebstrap") is None:
            raise LabError("mmdebstrap is not installed: apt-get install mmdebstrap (Debian, Ubuntu)")
        packages = parse_package_list(LIST.read_text(), LIST.name)
        with replacing(target, stamp) as fresh:
            _install(packages, fresh)
        stamp.write_text(f"{wanted}\n")
    except BuildError as error:
        raise LabError(str(error)) from error


def digest() -> str:
    """What the tree depends on, in short: the list of packages, and this file."""
    parts = (LIST.read_bytes(), Path(__file__).read_bytes(), platform.machine().encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _install(packages: PackageList, target: Path) -> None:
    argv = mmdebstrap(packages, platform.machine(), target, sources_for_release(host_sources()))
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    result = subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    if result.returncode != 0:
        end = "\n".join(result.stdout.splitlines()[-_LOG_LINES:])
        raise LabError(f"mmdebstrap could not make {target} ({result.returncode}):\n{end}")
    modules = target / "etc/modules-load.d/lab.conf"
    modules.parent.mkdir(parents=True, exist_ok=True)
    modules.write_text("".join(f"{name}\n" for name in MODULES))


def mmdebstrap(packages: PackageList, machine: str, target: Path, sources: Iterable[str]) -> list[str]:
    """The command line (mmdebstrap(1))."""
    remove = f'dpkg --root="$1" --force-all --purge {shlex.join(sorted(packages.leave_out))}'
    caches = 'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/*'
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=essential",
        "--format=directory",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        f"--include={','.join((*packages.install, kernel_package(machine)))}",
        f"--customize-hook={remove}",
        f"--customize-hook={caches}",
        RELEASE,
        str(target),
        *sources,
    ]
