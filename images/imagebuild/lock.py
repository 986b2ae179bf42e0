"""images/image.lock: which package versions the image that base/image names was built from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from .errors import BuildError

_HEADER = "# Written by `images/build --lock`: what the image that base/image names was built from."
_DIGEST = re.compile(r"(?m)^( *digest: )sha256:[0-9a-f]{64}$")
_TAG = re.compile(r"(?m)^( *newTag: ).*$")


@dataclass(frozen=True, slots=True)
class Lock:
    """One build: Debian architecture, latest file time (seconds since 1970), digests, package versions.

    `layer` is the digest of the uncompressed tree, `manifest` the image's.
    """

    architecture: str
    epoch: int
    layer: str
    manifest: str
    versions: Mapping[str, str]

    @property
    def tag(self) -> str:
        """The image's tag: Debian's release and the day of the build."""
        return f"trixie-{datetime.fromtimestamp(self.epoch, UTC):%Y%m%d}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether a build is what its packages let expect, and what to tell about it."""

    expected: bool
    text: str


def parse_lock(text: str, origin: str) -> Lock:
    """Read a lock file. Raises BuildError with `origin` where it is not one."""
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    try:
        entries = {name: value for name, value in rows}
        return Lock(
            architecture=entries.pop("architecture:"),
            epoch=int(entries.pop("epoch:")),
            layer=entries.pop("layer:"),
            manifest=entries.pop("manifest:"),
            versions=entries,
        )
    except (KeyError, ValueError) as error:
        raise BuildError(f"{origin} is damaged ({error}); write it again with images/build --lock") from error


def format_lock(lock: Lock) -> str:
    """The lock file's text."""
    head = [
        _HEADER,
        f"architecture: {lock.architecture}",
        f"epoch: {lock.epoch}",
        f"layer: {lock.layer}",
        f"manifest: {lock.manifest}",
    ]
    return "\n".join([*head, *(f"{name} {version}" for name, version in sorted(lock.versions.items())), ""])


def differences(locked: Mapping[str, str], built: Mapping[str, str]) -> tuple[str, ...]:
    """One line for each package whose version is not the locked one."""
    return tuple(
        f"{name}: locked {locked.get(name, 'absent')}, built {built.get(name, 'absent')}"
        for name in sorted(locked.keys() | built.keys())
        if locked.get(name) != built.get(name)
    )


def compare(locked: Lock | None, built: Lock) -> Comparison:
    """How a build relates to the locked one; `built.manifest` is empty where only the tree was made."""
    if locked is None or locked.architecture != built.architecture:
        return Comparison(True, f"image.lock has no image for {built.architecture}")
    changed = differences(locked.versions, built.versions)
    if changed:
        head = "not the image of base/image, because packages have changed (--lock takes this one):"
        return Comparison(True, "\n  ".join([head, *changed]))
    if locked.epoch != built.epoch:
        return Comparison(True, f"not the image of base/image, because its epoch is {locked.epoch}")
    if locked.layer != built.layer:
        head = f"the packages are those of image.lock, the tree is not (expected {locked.layer})"
        return Comparison(False, f"{head}; where images/ was changed, run images/build --oci DIR --lock")
    if built.manifest not in ("", locked.manifest):
        head = f"the tree is that of image.lock, the image is not (expected {locked.manifest})"
        return Comparison(False, f"{head}: this machine's zlib compresses otherwise, or the labels changed")
    return Comparison(True, "the image of base/image")


def pin(kustomization: str, lock: Lock) -> str:
    """The kustomization with the lock's tag and digest in its `images` entry.

    Raises BuildError where it has not exactly one of each.
    """
    text, digests = _DIGEST.subn(rf"\g<1>{lock.manifest}", kustomization)
    text, tags = _TAG.subn(rf"\g<1>{lock.tag}", text)
    if (digests, tags) != (1, 1):
        raise BuildError(f"base/image has {digests} digest and {tags} newTag lines; expected one of each")
    return text
