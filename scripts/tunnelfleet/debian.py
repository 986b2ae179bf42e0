"""Unpack one package of Debian or Ubuntu without root. Standard library only, for scripts/bootstrap.py."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

# Everything that apt writes goes below one folder, and no hook of the system runs.
_APT_CONFIGURATION = """\
Dir::State "{folder}/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "{folder}/cache";
Debug::NoLocking "true";
APT::Sandbox::User "";
Acquire::Languages "none";
#clear APT::Update;
"""


class PackageUnavailable(Exception):
    """The package could not be had; the text is what apt said."""


def unpack_package(name: str, folder: Path) -> Path:
    """Download a package from the machine's own sources, signature checked, and unpack it.

    Args:
        name: of the package, without its dependencies.
        folder: an empty one for everything that is written.

    Returns:
        The folder that stands for `/` in the unpacked package.

    Raises:
        PackageUnavailable: this is no such machine, the network is away, or the package does not exist.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise PackageUnavailable("no apt-get here")
    for partial in ("state/lists/partial", "cache/archives/partial"):
        (folder / partial).mkdir(parents=True)
    configuration = folder / "apt.conf"
    configuration.write_text(_APT_CONFIGURATION.format(folder=folder))
    apt = ["apt-get", "-qq", "-c", str(configuration)]
    _run([*apt, "update"], folder, check=False)  # a source that has nothing to do with it may be the one to fail
    _run([*apt, "download", name], folder)
    root = folder / "root"
    for package in folder.glob("*.deb"):
        _run(["dpkg-deb", "-x", str(package), str(root)], folder)
    return root


def _run(command: list[str], folder: Path, check: bool = True) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if check and done.returncode != 0:
        raise PackageUnavailable(done.stderr.strip() or f"{command[0]} failed with status {done.returncode}")
