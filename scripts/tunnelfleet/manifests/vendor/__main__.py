"""`python -m tunnelfleet.manifests.vendor`: write schemas/ anew from the pinned sources.

Needs the network, and go, npm and pip; nobody but a maintainer who follows a new release runs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tunnelfleet.manifests.vendor.catalogue import SOURCES, all_schemas
from tunnelfleet.manifests.vendor.readme import readme
from tunnelfleet.manifests.vendor.sources import VendorError

_FOLDERS = ("kubernetes", "crds", "kustomize")


def main(root: Path) -> int:
    """Write every schema and the README beside them, and remove what is no longer made."""
    folder = root / "schemas"
    try:
        files = dict(all_schemas())
    except VendorError as error:
        print(f"vendor-schemas: {error}", file=sys.stderr)
        return 2
    files["README.md"] = readme(sorted(files), SOURCES).encode()
    for name in _FOLDERS:
        for path in sorted((folder / name).rglob("*.json")):
            if path.relative_to(folder).as_posix() not in files:
                path.unlink()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"{len(files) - 1} schemas, {sum(map(len, files.values())) // 1000} kB, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
