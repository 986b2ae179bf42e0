"""The command images/build."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import lock as locks
from .build import build_layer, read_recipe
from .errors import BuildError
from .mirror import host_sources, sources_for_release
from .oci import file_digest, write_layout
from .output import refuse_foreign, replacing, require_root, unpack

IMAGES = Path(__file__).resolve().parent.parent
LOCK = IMAGES / "image.lock"
PINNED = IMAGES.parent / "base" / "image" / "kustomization.yaml"
_DAY = 86_400


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 the packages are the locked ones but the bytes are not, 2 not built."""
    options = _parser().parse_args(arguments)
    if not options.root and not options.oci:
        print("images/build: name --root DIR, --oci DIR or both", file=sys.stderr)
        return 2
    if options.lock and not options.oci:
        print("images/build: --lock needs --oci DIR, the image that it locks", file=sys.stderr)
        return 2
    try:
        return _run(options)
    except (BuildError, OSError) as error:
        print(f"images/build: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="images/build",
        description="Build the container image from Debian packages, without a container engine.",
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="unpack the image's tree here (needs root)")
    parser.add_argument("--oci", type=Path, metavar="DIR", help="write the image as an OCI layout here")
    parser.add_argument("--lock", action="store_true", help="record this image in image.lock and base/image")
    parser.add_argument(
        "--sources",
        type=Path,
        metavar="FILE",
        help="apt sources of Debian 13 to use instead of the machine's",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.root:
        require_root()
        refuse_foreign(options.root, _stamp(options.root))
    if options.oci:
        refuse_foreign(options.oci, _layout_mark(options.oci))
    locked = locks.parse_lock(LOCK.read_text(), LOCK.name) if LOCK.exists() else None
    epoch = _epoch(None if options.lock else locked)
    sources = (str(options.sources),) if options.sources else sources_for_release(host_sources())
    recipe = read_recipe(IMAGES, epoch)
    with tempfile.TemporaryDirectory(prefix="tunnelfleet-image.") as scratch:
        print("installing the packages with mmdebstrap (about 20 s)", file=sys.stderr)
        layer, packages = build_layer(recipe, sources, Path(scratch))
        built = locks.Lock(
            architecture=_architecture(),
            epoch=epoch,
            layer=file_digest(layer),
            manifest="",
            versions={package.name: package.version for package in packages},
        )
        if options.root:
            _publish_root(options.root, layer, built.layer)
        if options.oci:
            built = _publish_oci(options.oci, layer, built)
    if options.lock:
        LOCK.write_text(locks.format_lock(built))
        PINNED.write_text(locks.pin(PINNED.read_text(), built))
        return 0
    comparison = locks.compare(locked, built)
    print(comparison.text)
    return 0 if comparison.expected else 1


def _epoch(locked: locks.Lock | None) -> int:
    """The latest time of any file: SOURCE_DATE_EPOCH, else the locked image's, else last midnight (UTC)."""
    value = os.environ.get("SOURCE_DATE_EPOCH")
    if value is None:
        return locked.epoch if locked else int(time.time()) // _DAY * _DAY
    if not value.isascii() or not value.isdigit():
        raise BuildError(f"SOURCE_DATE_EPOCH is {value!r}; expected seconds since 1970")
    return int(value)


def _architecture() -> str:
    """Debian's and Go's name of the architecture, which are the same for those supported."""
    answer = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
    name = answer.stdout.strip()
    if name not in ("amd64", "arm64"):
        raise BuildError(f"this machine is {name}; the image is built for amd64 or arm64")
    return name


def _stamp(root: Path) -> Path:
    """The file beside a tree that tells its digest."""
    return root.with_name(f"{root.name}.layer")


def _layout_mark(oci: Path) -> Path:
    """The file that every OCI image layout has."""
    return oci / "oci-layout"


def _publish_root(target: Path, layer: Path, digest: str) -> None:
    with replacing(target, _stamp(target)) as fresh:
        unpack(layer, fresh)
    _stamp(target).write_text(f"{digest}\n")
    print(f"tree      {target} ({digest})")


def _publish_oci(target: Path, layer: Path, built: locks.Lock) -> locks.Lock:
    labels = {
        "org.opencontainers.image.description": "strongSwan, FRR and what the agent needs, on Debian 13",
        "org.opencontainers.image.title": "tunnelfleet",
        "org.opencontainers.image.version": built.tag,
    }
    with replacing(target, _layout_mark(target)) as fresh:
        image = write_layout(fresh, layer, architecture=built.architecture, epoch=built.epoch, labels=labels)
    print(f"image     {target} ({layer.stat().st_size >> 20} MiB, {image.layer.size >> 20} MiB compressed)")
    print(f"tag       {built.tag}")
    print(f"digest    {image.manifest.digest}")
    return locks.Lock(built.architecture, built.epoch, built.layer, image.manifest.digest, built.versions)


if __name__ == "__main__":
    sys.exit(main())
