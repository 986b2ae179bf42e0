"""Asks the real daemons whether a configuration is good: FRR's vtysh, strongSwan's charon.

The programs are those of this machine where they are recent enough, else those of an image root (made by
`make image-root`, or named by TUNNELFLEET_IMAGE_ROOT), entered by chroot. Where there is neither, the test is
skipped and says why.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FRR_NEEDED = (10, 3)
STRONGSWAN_NEEDED = (6, 0)

_SECONDS_AT_MOST = 30
_POLL_SECONDS = 0.02
# An empty folder in every Debian tree: the test's own files appear there, in a mount namespace of their own.
_INSIDE = Path("/mnt")
_CHARON = "/usr/lib/ipsec/charon"
_SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/lib/frr"
# swanctl exits with 0 after a syntax error
_REFUSALS = ("syntax error", "invalid config file", "config discarded", "failed to load")

# strongSwan's proposal keywords, and what `swanctl --list-algs` calls the algorithms
_ALGORITHMS = {
    "aes128": ("AES_CBC",),
    "aes256": ("AES_CBC",),
    "aes128gcm16": ("AES_GCM_16",),
    "aes256gcm16": ("AES_GCM_16",),
    "sha256": ("HMAC_SHA2_256_128", "PRF_HMAC_SHA2_256"),
    "sha384": ("HMAC_SHA2_384_192", "PRF_HMAC_SHA2_384"),
    "sha512": ("HMAC_SHA2_512_256", "PRF_HMAC_SHA2_512"),
    "prfsha256": ("PRF_HMAC_SHA2_256",),
    "prfsha384": ("PRF_HMAC_SHA2_384",),
    "prfsha512": ("PRF_HMAC_SHA2_512",),
    "ecp256": ("ECP_256",),
    "ecp384": ("ECP_384",),
    "ecp521": ("ECP_521",),
    "curve25519": ("CURVE_25519",),
    "x25519": ("CURVE_25519",),
    "modp2048": ("MODP_2048",),
    "modp2048s256": ("MODP_2048_256",),
    "modp3072": ("MODP_3072",),
    "modp4096": ("MODP_4096",),
    "mlkem768": ("ML_KEM_768",),
}

_SETTINGS = """\
charon {
    load = nonce openssl kernel-netlink socket-default vici
    install_routes = no
    plugins {
        vici {
            socket = unix://%(inside)s/vici
        }
    }
    filelog {
        stderr {
            default = 1
        }
    }
}
swanctl {
    load = openssl
}
"""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the daemons are: in this tree, or on this machine itself where there is none."""

    root: Path | None

    def seen_inside(self, folder: Path) -> Path:
        """The path by which the programs see this folder of the machine."""
        return folder if self.root is None else _INSIDE

    def command(self, folder: Path, *command: str, own_network: bool = False) -> list[str]:
        """The command line that runs the program with this folder, leaving nothing behind when it ends."""
        if self.root is None and not own_network:
            return list(command)
        unshare = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
        if own_network:
            unshare.append("--net")
        if self.root is None:
            return [*unshare, "sh", "-ec", 'mount -t tmpfs run /run; exec "$@"', "sh", *command]
        enter = f'mount --bind "$1" "$2{_INSIDE}"; mount -t tmpfs run "$2/run"; shift; exec chroot "$@"'
        return [*unshare, "sh", "-ec", enter, "sh", str(folder), str(self.root), *command]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a daemon made of a configuration: whether it took all of it, and its words."""

    accepted: bool
    output: str


@dataclass(frozen=True, slots=True)
class Charon:
    """A running charon, alone in its network namespace; `folder` holds its socket and its log."""

    programs: Programs
    folder: Path

    def load(self, configuration: str, files: Mapping[str, str] | None = None) -> Verdict:
        """Load a swanctl.conf in place of what was loaded before, with files that it includes beside it."""
        for name, text in {"swanctl.conf": configuration, **(files or {})}.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        inside = self.programs.seen_inside(self.folder)
        result = self._swanctl("--load-all", "--file", f"{inside}/swanctl.conf")
        refused = result.returncode != 0 or any(words in result.stdout for words in _REFUSALS)
        return Verdict(not refused, result.stdout)

    def connections(self) -> frozenset[str]:
        """The names of the connections that are loaded."""
        listing = self._swanctl("--list-conns").stdout
        return frozenset(re.findall(r"(?m)^(\S+): IKEv", listing))

    def algorithms(self) -> frozenset[str]:
        """The names of all algorithms that charon implements, such as AES_GCM_16 and ECP_384."""
        return frozenset(re.findall(r"(?m)^  (\w+)\[", self._swanctl("--list-algs").stdout))

    def log(self) -> str:
        """What charon has said."""
        return (self.folder / "charon.log").read_text(encoding="utf-8", errors="replace")

    def _swanctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        inside = self.programs.seen_inside(self.folder)
        settings = [f"STRONGSWAN_CONF={inside}/strongswan.conf", "SWANCTL_DIR=/etc/swanctl"]
        command = ("env", *settings, "swanctl", *arguments, "--uri", f"unix://{inside}/vici")
        return _run(self.programs.command(self.folder, *command))


def algorithms_of(proposal: str) -> frozenset[str]:
    """The algorithms that charon must implement to negotiate a proposal such as aes256gcm16-prfsha384-ecp384.

    Loading a proposal is no proof of them: charon takes the keywords of algorithms that no plugin brings.
    """
    words = (re.sub(r"^ke[1-7]_", "", word) for word in proposal.split("-"))
    return frozenset(name for word in words for name in _ALGORITHMS[word])


def image_root(want: str = "the image's tree") -> Path:
    """The image root, for a test that wants what `want` says. Skips the test where it cannot be entered."""
    named = os.environ.get("TUNNELFLEET_IMAGE_ROOT")
    root = Path(named or REPOSITORY / ".cache" / "image-root")
    if not (root / _CHARON[1:]).is_file():
        if named:
            pytest.fail(f"TUNNELFLEET_IMAGE_ROOT is {named}; expected a tree made by images/build --root")
        pytest.skip(f"SKIPPED FOR WANT OF {want}, and there is no {root}: run make image-root as root")
    if os.geteuid() != 0:
        pytest.skip(f"SKIPPED FOR WANT OF ROOT: for {want}, only root can enter the image root {root}")
    return root


def frr_programs() -> Programs:
    """Where vtysh is, FRR 10.3 or later; zebra tells the version. Skips the test where it is nowhere."""
    return _found("vtysh of FRR", FRR_NEEDED, ("zebra", "--version"))


def strongswan_programs() -> Programs:
    """Where charon and swanctl are, strongSwan 6.0 or later. Skips the test where they are nowhere."""
    if os.geteuid() != 0:
        pytest.skip("SKIPPED FOR WANT OF ROOT: charon needs a network namespace; run the tests as root")
    return _found("charon of strongSwan", STRONGSWAN_NEEDED, (_CHARON, "--version"))


def check_frr(configuration: str, programs: Programs | None = None) -> Verdict:
    """Whether vtysh takes every line of a frr.conf; where not, the output names the line.

    It knows the syntax only: a prefix list that is used and not defined passes.
    """
    programs = programs or frr_programs()
    with tempfile.TemporaryDirectory(prefix="tunnelfleet-frr.") as name:
        folder = Path(name)
        (folder / "frr.conf").write_text(configuration, encoding="utf-8")
        file = programs.seen_inside(folder) / "frr.conf"
        result = _run(programs.command(folder, "vtysh", "-C", "-f", str(file)))
    return Verdict(result.returncode == 0, result.stdout)


@contextmanager
def running_charon(programs: Programs | None = None) -> Iterator[Charon]:
    """A charon that accepts configurations, ended with the block.

    Where the block fails, charon's log is kept and its path is told.
    """
    programs = programs or strongswan_programs()
    # short: the path of a Unix socket may have 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="tunnelfleet-charon."))
    inside = programs.seen_inside(folder)
    (folder / "strongswan.conf").write_text(_SETTINGS % {"inside": inside}, encoding="utf-8")
    command = ("env", f"STRONGSWAN_CONF={inside}/strongswan.conf", _CHARON)
    with (folder / "charon.log").open("wb") as log:
        process = subprocess.Popen(
            programs.command(folder, *command, own_network=True),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_socket(folder / "vici", process)
        yield Charon(programs, folder)
    except BaseException:
        print(f"charon's log is kept in {folder}/charon.log")
        raise
    else:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End charon, which unshare waits for; where it does not listen, its namespaces and all in them."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_SECONDS_AT_MOST)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_socket(socket: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_AT_MOST
    while not socket.is_socket():
        if process.poll() is not None:
            raise AssertionError(f"charon ended with {process.returncode} before it opened {socket}")
        if time.monotonic() > deadline:
            raise AssertionError(f"charon did not open {socket} within {_SECONDS_AT_MOST} s")
        time.sleep(_POLL_SECONDS)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS_AT_MOST,
        env={**os.environ, "PATH": _SEARCH},
    )


def _found(what: str, needed: tuple[int, int], version: tuple[str, ...]) -> Programs:
    """The programs of this machine, else those of the image root; else the test is skipped."""
    have = _version_here(version)
    if have >= needed:
        return Programs(None)
    here = f"this machine has {have[0]}.{have[1]}" if have > (0, 0) else "this machine has none"
    return Programs(image_root(f"{what} {needed[0]}.{needed[1]} or later ({here})"))


@cache
def _version_here(command: tuple[str, ...]) -> tuple[int, int]:
    """The version that the program of this machine prints; 0.0 where there is none."""
    if which(command[0], path=_SEARCH) is None:
        return (0, 0)
    match = re.search(r"(?:zebra version|strongSwan) U?(\d+)\.(\d+)", _run(list(command)).stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)
