"""Writes an OCI image layout with one layer (OCI image specification 1.1: image-layout, manifest, config)."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_CHUNK = 1 << 20
_GZIP_FORMAT = 31
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob by its content: media type, sha256 digest, size in bytes."""

    media_type: str
    digest: str
    size: int

    def as_json(self) -> dict[str, object]:
        """The descriptor as the specification writes it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Image:
    """What was written: the manifest, which names the image, and the layer before and after compression."""

    manifest: Descriptor
    layer: Descriptor
    diff_id: str


def write_layout(folder: Path, layer: Path, *, architecture: str, epoch: int, labels: dict[str, str]) -> Image:
    """Write the image of this layer (an uncompressed tar archive) as an OCI layout into an empty folder.

    `architecture` is in Go's terms (amd64, arm64), `epoch` the creation time in seconds since 1970. The
    label org.opencontainers.image.version, which must be there, becomes the image's name in the layout.
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    compressed, diff_id = _write_layer(blobs, layer)
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = _write_json(
        blobs,
        "application/vnd.oci.image.config.v1+json",
        {
            "architecture": architecture,
            "config": {"Cmd": ["/bin/sh"], "Env": [_PATH, "PYTHONDONTWRITEBYTECODE=1"], "Labels": labels},
            "created": created,
            "history": [{"created": created, "created_by": "images/build"}],
            "os": "linux",
            "rootfs": {"diff_ids": [diff_id], "type": "layers"},
        },
    )
    manifest = _write_json(
        blobs,
        "application/vnd.oci.image.manifest.v1+json",
        {
            "annotations": labels,
            "config": config.as_json(),
            "layers": [compressed.as_json()],
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "schemaVersion": 2,
        },
    )
    entry = manifest.as_json() | {
        "annotations": {"org.opencontainers.image.ref.name": labels["org.opencontainers.image.version"]},
        "platform": {"architecture": architecture, "os": "linux"},
    }
    index = {
        "manifests": [entry],
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "schemaVersion": 2,
    }
    (folder / "index.json").write_bytes(_canonical(index))
    (folder / "oci-layout").write_bytes(_canonical({"imageLayoutVersion": "1.0.0"}))
    return Image(manifest, compressed, diff_id)


def file_digest(path: Path) -> str:
    """The sha256 of a file, as `sha256:` and hexadecimal digits."""
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _write_layer(blobs: Path, layer: Path) -> tuple[Descriptor, str]:
    """The compressed layer, and the digest of the uncompressed one. No name or time in the gzip header."""
    plain, packed, size = hashlib.sha256(), hashlib.sha256(), 0
    compressor = zlib.compressobj(level=9, wbits=_GZIP_FORMAT)
    unnamed = blobs / "layer"
    with unnamed.open("wb") as out:
        for chunk in _chunks(layer):
            plain.update(chunk)
            packed.update(piece := compressor.compress(chunk))
            size += out.write(piece)
        packed.update(piece := compressor.flush())
        size += out.write(piece)
    unnamed.rename(blobs / packed.hexdigest())
    media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
    return Descriptor(media_type, f"sha256:{packed.hexdigest()}", size), f"sha256:{plain.hexdigest()}"


def _write_json(blobs: Path, media_type: str, document: dict[str, object]) -> Descriptor:
    content = _canonical(document)
    name = hashlib.sha256(content).hexdigest()
    (blobs / name).write_bytes(content)
    return Descriptor(media_type, f"sha256:{name}", len(content))


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
