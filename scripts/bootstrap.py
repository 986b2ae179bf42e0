"""Make .venv from requirements.lock, and find or fetch kustomize: what `make setup` runs.

Standard library only, and no root. Bare Debian and Ubuntu have `venv` without `ensurepip` and without pip,
so pip is taken from the nearest place that has it. When nothing changed, this returns in a moment.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Iterator, NoReturn, Sequence

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
STAMP = VENV / "setup-stamp"
PYTHON = VENV / "bin" / "python"


class SetupError(Exception):
    """One way to set up failed; the text says how."""


def say(message: str) -> None:
    print(f"setup: {message}", flush=True)


def fail(message: str) -> NoReturn:
    print(f"setup: {message}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def run(command: Sequence[object], folder: Path | None = None) -> None:
    """Run a program quietly; raises SetupError with the end of what it printed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        raise SetupError(str(error)) from error
    if done.returncode != 0:
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        told = [line for line in lines if not line.startswith("WARNING: Retrying")]
        raise SetupError("\n".join(told[-8:]) or f"{words[0]} failed with status {done.returncode}")


def works(python: str) -> bool:
    """Whether a program is a Python that runs; version managers leave entries that only complain."""
    return subprocess.run([python, "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode == 0


def use_suitable_python() -> None:
    """Start again with a Python that is new enough and outside every virtual environment."""
    if sys.version_info >= OLDEST_PYTHON:
        if sys.prefix != sys.base_prefix:
            base = sys._base_executable  # type: ignore[attr-defined]
            os.execv(base, [base, __file__])
        return
    for minor in range(20, OLDEST_PYTHON[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and works(found):
            os.execv(found, [found, __file__])
    oldest = ".".join(map(str, OLDEST_PYTHON))
    fail(
        f"Python {oldest} or later is needed; {sys.executable} is {sys.version.split()[0]}.\n"
        "  Debian 12 or later, Ubuntu 24.04 or later: sudo apt install python3\n"
        "  macOS: brew install python\n"
        "  Or name one: make setup PYTHON=/path/to/python3.12"
    )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the repository against another setup that runs at the same time."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another setup of this checkout")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def stamp() -> str:
    """What .venv was made from. A moved checkout, an upgraded Python or a new lock gives another stamp."""
    locked = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return f"{locked}\n{VENV}\n{PYTHON.resolve()}\n"


def is_current() -> bool:
    try:
        return PYTHON.exists() and STAMP.read_text() == stamp()
    except OSError:
        return False


def pip_wheel_of_debian(folder: Path) -> Path:
    """The pip wheel that Debian and Ubuntu package: installed, or unpacked into `folder`."""
    from tunnelfleet.debian import PackageUnavailable, unpack_package

    where = Path("/usr/share/python-wheels")
    wheels = sorted(where.glob("pip-*.whl"))
    if not wheels:
        say("fetching pip from the distribution's own package")
        try:
            root = unpack_package("python3-pip-whl", folder)
        except PackageUnavailable as error:
            raise SetupError(f"python3-pip-whl: {error}") from error
        wheels = sorted((root / where.relative_to("/")).glob("pip-*.whl"))
    if not wheels:
        raise SetupError("python3-pip-whl holds no pip wheel")
    return wheels[-1]


def has_ensurepip() -> bool:
    """Whether this Python could put its own pip into .venv; Debian packages that part apart."""
    if not importlib.util.find_spec("ensurepip"):
        return False
    try:
        run([PYTHON, "-m", "ensurepip"])
    except SetupError:
        return False
    return True


def installers(folder: Path) -> Iterator[tuple[str, list[object]]]:
    """Ways to install into .venv, nearest first: a name, and the command up to its options."""
    if has_ensurepip():
        yield "pip (ensurepip)", [PYTHON, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        yield "uv", [uv, "pip", "install", "--python", PYTHON]
    if importlib.util.find_spec("pip"):
        yield "pip (system)", [sys.executable, "-m", "pip", "--python", PYTHON, "install"]
    yield "pip (distribution's wheel)", [PYTHON, pip_wheel_of_debian(folder) / "pip", "install"]


def install_packages() -> None:
    """Fill .venv from the lock file with the first installer that can; ends the program when none can."""
    options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--requirement", LOCK]
    failures = []
    with tempfile.TemporaryDirectory(prefix="tunnelfleet-setup-") as folder:
        ways = installers(Path(folder))
        while True:
            name = "apt"
            try:
                name, command = next(ways)
                say(f"installing the locked packages into .venv with {name}")
                return run([*command, *options])
            except StopIteration:
                break
            except SetupError as error:
                failures.append(f"{name}:\n" + "\n".join(f"    {line}" for line in str(error).splitlines()))
    fail(
        "the packages of requirements.lock could not be installed. Tried:\n  "
        + "\n  ".join(failures)
        + "\nIs the network there? If pip is missing: sudo apt install python3-venv (Debian, Ubuntu),"
        " or brew install python (macOS). Then run `make setup` again."
    )


def link_package() -> None:
    """Put scripts/ on the path of .venv, and write the console script; nothing has to be built."""
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(VENV), "platbase": str(VENV)}))
    (site / "tunnelfleet.pth").write_text(f"{ROOT / 'scripts'}\n")
    script = VENV / "bin" / "tunnelfleet"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} -P -m tunnelfleet "$@"\n')
    script.chmod(0o755)


def make_environment() -> None:
    say(f"making .venv with Python {sys.version.split()[0]}")
    STAMP.unlink(missing_ok=True)
    venv.create(VENV, clear=True, symlinks=True, with_pip=False)
    install_packages()
    link_package()
    STAMP.write_text(stamp())


def main() -> int:
    use_suitable_python()
    with alone():
        if not is_current():
            make_environment()
        return subprocess.run([PYTHON, "-P", "-m", "tunnelfleet.manifests.kustomize_release"], check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        fail("interrupted")
