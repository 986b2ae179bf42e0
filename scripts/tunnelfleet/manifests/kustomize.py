"""Find kustomize and run it.

Looked for in this order: `$KUSTOMIZE`; `kustomize` 5 or later on the PATH; the one that `make setup`
installed for the user; `kubectl kustomize` of kubectl 1.27 or later, the first with kustomize 5.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PINNED = "v5.8.1"
BUILD_TIMEOUT_SECONDS = 120.0
VERSION_TIMEOUT_SECONDS = 30.0

HOW_TO_GET_IT = f"""\
Install kustomize 5 or later:
  make setup        installs {PINNED} for you where GitHub, or Go and its modules, can be reached
  Debian 13         sudo apt install kustomize
  Debian, Ubuntu    unpack a release from https://github.com/kubernetes-sigs/kustomize/releases
                    into a folder on your PATH, for example ~/.local/bin
  macOS             brew install kustomize
  Go                go install sigs.k8s.io/kustomize/kustomize/v5@{PINNED}
or name one: KUSTOMIZE=/path/to/kustomize"""


class KustomizeNotFound(Exception):
    """No usable kustomize on this machine; the text says what was found and how to get one."""

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}\n{HOW_TO_GET_IT}")


class KustomizeFailed(Exception):
    """A build failed.

    Attributes:
        folder: the kustomization that was built.
        stderr: what kustomize said, without its "Error: " prefix.
    """

    def __init__(self, folder: Path, stderr: str) -> None:
        self.folder = folder
        self.stderr = stderr.strip().removeprefix("Error: ") or "it failed without a message"
        super().__init__(f"kustomize cannot build {folder}: {self.stderr}")


class Version(NamedTuple):
    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


OLDEST_KUSTOMIZE = Version(5, 0, 0)
OLDEST_KUBECTL = Version(1, 27, 0)


@dataclass(frozen=True, slots=True)
class Kustomize:
    """A usable kustomize.

    Attributes:
        command: the words in front of the folder to build.
        version: of kustomize, for example `v5.8.1`, also when kubectl carries it.
    """

    command: tuple[str, ...]
    version: str

    def build(self, folder: Path, timeout: float = BUILD_TIMEOUT_SECONDS) -> bytes:
        """Render one kustomization: multi-document YAML in UTF-8. Nothing is fetched from a network.

        Args:
            folder: holds the kustomization.yaml.
            timeout: seconds that the build may take.

        Raises:
            KustomizeFailed: the folder cannot be built, or not in that time.
        """
        command = [*self.command, str(folder.absolute())]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                env=_offline(os.environ),
            )
        except subprocess.TimeoutExpired:
            raise KustomizeFailed(folder, f"it did not finish within {timeout:g} s") from None
        except (OSError, ValueError) as error:
            raise KustomizeFailed(folder, str(error)) from error
        if done.returncode != 0:
            raise KustomizeFailed(folder, done.stderr.decode(errors="replace"))
        return done.stdout


def find_kustomize(environment: Mapping[str, str] = os.environ) -> Kustomize:
    """The kustomize to use. Call it once per command: it starts a program or two to ask their versions.

    Raises:
        KustomizeNotFound: there is none that is new enough, or `$KUSTOMIZE` names none.
    """
    named = environment.get("KUSTOMIZE")
    if named and not shutil.which(named, path=environment.get("PATH")):
        raise KustomizeNotFound(f"$KUSTOMIZE is {named!r}, which is not a program.")
    reasons: list[str] = []
    for program in _candidates(environment):
        try:
            return _inspect(program, environment)
        except _Unusable as reason:
            reasons.append(str(reason))
    raise KustomizeNotFound("\n".join(reasons) or "There is no kustomize and no kubectl on the PATH.")


def installed_release(environment: Mapping[str, str] = os.environ) -> Path:
    """Where `make setup` installs kustomize for the user; it may not be there."""
    cache = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home(), ".cache")
    return Path(cache, "tunnelfleet", "bin", "kustomize")


# Debian's builds carry no number; only kustomize 5 and later say so in this form.
_UNNUMBERED = "(devel)"


class _Unusable(Exception):
    """Why a program that was found cannot be used."""


def _candidates(environment: Mapping[str, str]) -> Iterator[str]:
    path = environment.get("PATH")
    if named := environment.get("KUSTOMIZE"):
        yield shutil.which(named, path=path) or named
        return
    if program := shutil.which("kustomize", path=path):
        yield program
    installed = installed_release(environment)
    if os.access(installed, os.X_OK):
        yield str(installed)
    if program := shutil.which("kubectl", path=path):
        yield program


def _inspect(program: str, environment: Mapping[str, str]) -> Kustomize:
    if Path(program).name.startswith("kubectl"):
        return _inspect_kubectl(program, environment)
    said = _ask([program, "version"], environment)
    if said == _UNNUMBERED:
        return Kustomize((program, "build"), said)
    version = _parse_version(said)
    if version is None:
        raise _Unusable(f"{program} does not tell its version: `version` said {said!r}.")
    if version < OLDEST_KUSTOMIZE:
        raise _Unusable(f"{program} is kustomize {version}; {OLDEST_KUSTOMIZE} or later is needed.")
    return Kustomize((program, "build"), str(version))


def _inspect_kubectl(program: str, environment: Mapping[str, str]) -> Kustomize:
    said = _ask([program, "version", "--client", "--output", "json"], environment)
    try:
        versions = json.loads(said)
        client = _parse_version(versions["clientVersion"]["gitVersion"])
        kustomize = _parse_version(versions.get("kustomizeVersion", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _Unusable(f"{program} does not tell its version: it said {said!r}.") from None
    if client is None or client < OLDEST_KUBECTL:
        raise _Unusable(f"{program} is kubectl {client}; {OLDEST_KUBECTL} or later is needed.")
    return Kustomize((program, "kustomize"), str(kustomize or "unknown"))


def _ask(command: list[str], environment: Mapping[str, str]) -> str:
    """What a program prints about its version, or about its failure to."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_TIMEOUT_SECONDS,
            check=False,
            env=_offline(environment),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stdout or done.stderr).decode(errors="replace").strip()


def _parse_version(said: str) -> Version | None:
    """`v5.8.1`, `{Version:kustomize/v4.5.7 GitCommit:…}`, `v1.32.4-dispatcher` or `v1.27.3+k3s1`."""
    match = re.search(r"(?<![\w.])v(\d+)\.(\d+)\.(\d+)", said)
    return Version(*map(int, match.groups())) if match else None


def _offline(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment that reaches no network and no cluster: a render depends on the tree alone."""
    nowhere = "http://127.0.0.1:9"
    return {
        **environment,
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere),
        "NO_PROXY": "",
        "no_proxy": "",
        "GIT_ALLOW_PROTOCOL": "none",
        "KUBECONFIG": os.devnull,
    }
