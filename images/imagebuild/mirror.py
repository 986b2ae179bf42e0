"""Where the packages come from: the apt sources of the machine that builds, for the image's release."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from shutil import which

RELEASE = "trixie"
_FIELDS = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
# backports and the like would change versions
_POCKETS = ("", "updates", "security")


@dataclass(frozen=True, slots=True)
class Source:
    """One repository of the machine's apt configuration, as `apt-get indextargets` names it."""

    origin: str
    codename: str
    component: str
    uri: str


def host_sources() -> tuple[Source, ...]:
    """The package repositories that apt uses on this machine; none where there is no apt."""
    if which("apt-get") is None:
        return ()
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", _FIELDS, "Created-By: Packages"],
        check=False,
        capture_output=True,
        text=True,
    )
    rows = (line.split("|") for line in listing.stdout.splitlines())
    return tuple(Source(*row) for row in rows if len(row) == len(Source.__slots__))


def sources_for_release(sources: Iterable[Source], release: str = RELEASE) -> tuple[str, ...]:
    """One-line apt sources (sources.list(5)) of the release, from the same Debian repositories.

    Empty where the machine has none from Debian: mmdebstrap then uses its own default.
    """
    lines = {
        f"deb {source.uri} {suite} main": None
        for source in sources
        if source.origin == "Debian" and source.component == "main" and (suite := _suite(source, release))
    }
    return tuple(lines)


def _suite(source: Source, release: str) -> str | None:
    """The release's counterpart of the source's suite: bookworm-security gives trixie-security."""
    _, dash, pocket = source.codename.partition("-")
    return f"{release}{dash}{pocket}" if pocket in _POCKETS else None
