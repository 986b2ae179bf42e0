"""Install the pinned kustomize for the user where the machine has no usable one: a step of `make setup`."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from textwrap import indent
from urllib.request import urlopen

from tunnelfleet.debian import PackageUnavailable, unpack_package
from tunnelfleet.manifests.kustomize import PINNED, KustomizeNotFound, find_kustomize, installed_release

RELEASES = "https://github.com/kubernetes-sigs/kustomize/releases/download"
GO_PACKAGE = f"sigs.k8s.io/kustomize/kustomize/v5@{PINNED}"
TIMEOUT_SECONDS = 30
GO_TIMEOUT_SECONDS = 900

# SHA-256 of the archives of PINNED, from the release's own checksums.txt
DIGESTS = {
    "linux_amd64": "029a7f0f4e1932c52a0476cf02a0fd855c0bb85694b82c338fc648dcb53a819d",
    "linux_arm64": "0953ea3e476f66d6ddfcd911d750f5167b9365aa9491b2326398e289fef2c142",
    "darwin_amd64": "ee7cf0c1e3592aa7bb66ba82b359933a95e7f2e0b36e5f53ed0a4535b017f2f8",
    "darwin_arm64": "8886f8a78474e608cc81234f729fda188a9767da23e28925802f00ece2bab288",
}


class InstallFailed(Exception):
    """One way to install kustomize is closed; the text says why."""


def install(target: Path) -> None:
    """Put a kustomize at `target`: the pinned release, else the same built with Go where that is installed,
    else the distribution's own (Debian 13 has kustomize 5.6).

    Raises:
        InstallFailed: nothing worked; one line for each.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    ways: tuple[Callable[[Path], None], ...] = (_download, _build_with_go, _take_from_debian)
    reasons: list[str] = []
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        program = Path(folder, "kustomize")
        for way in ways:
            try:
                way(program)
            except InstallFailed as reason:
                reasons.append(str(reason))
            else:
                program.chmod(0o755)
                program.replace(target)
                return
    raise InstallFailed("\n".join(reasons))


def unpack(archive: bytes, digest: str) -> bytes:
    """The program inside a release archive (tar.gz), once its SHA-256 (hexadecimal) is what it should be.

    Raises:
        InstallFailed: other bytes than expected.
    """
    found = hashlib.sha256(archive).hexdigest()
    if found != digest:
        raise InstallFailed(f"the downloaded archive has SHA-256 {found}, expected {digest}; it was not used")
    with tarfile.open(fileobj=BytesIO(archive), mode="r:gz") as files:
        program = files.extractfile("kustomize")
        assert program is not None  # the checksum settles what the archive holds
        return program.read()


def _platform() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}_{machine}"


def _download(program: Path) -> None:
    name = _platform()
    if name not in DIGESTS:
        raise InstallFailed(f"there is no checksum for a release for {name}")
    url = f"{RELEASES}/kustomize%2F{PINNED}/kustomize_{PINNED}_{name}.tar.gz"
    _say(f"installing kustomize {PINNED} from its release page")
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            archive: bytes = response.read()
    except (OSError, HTTPException) as error:
        raise InstallFailed(f"{url}: {error}") from error
    program.write_bytes(unpack(archive, DIGESTS[name]))


def _build_with_go(program: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise InstallFailed("go is not on the PATH")
    _say(f"installing kustomize {PINNED} with Go; this takes a few minutes")
    environment = {**os.environ, "GOBIN": str(program.parent), "GOFLAGS": "", "CGO_ENABLED": "0"}
    try:
        subprocess.run(
            [go, "install", GO_PACKAGE],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GO_TIMEOUT_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        output = bytes(error.stderr).decode(errors="replace").strip()
        raise InstallFailed(f"go install {GO_PACKAGE}: {output}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallFailed(f"go install {GO_PACKAGE}: {error}") from error


def _take_from_debian(program: Path) -> None:
    _say("installing kustomize from the distribution's own package")
    folder = program.parent / "debian"
    folder.mkdir()
    try:
        unpacked = unpack_package("kustomize", folder) / "usr/bin/kustomize"
        unpacked.replace(program)
    except (PackageUnavailable, OSError) as error:
        raise InstallFailed(f"the distribution's package kustomize: {error}") from error


def _say(message: str) -> None:
    print(f"setup: {message}", flush=True)


def main() -> int:
    """Exit code 0 when a usable kustomize is there at the end, 2 when not."""
    try:
        find_kustomize()
    except KustomizeNotFound as missing:
        reasons = ""
        if not os.environ.get("KUSTOMIZE"):
            try:
                install(installed_release())
                return 0
            except (InstallFailed, OSError) as failure:
                reasons = f"kustomize could not be installed:\n{indent(str(failure), '  ')}\n"
        print(f"setup: {reasons}{missing}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
