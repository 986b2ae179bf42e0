"""The files that a job brings along: tests/lab as it stands in the tree, and the stage of a cluster."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import staging

LAB = Path(__file__).parent.parent
STAGE = "stage.json"
_OURS = {"host", "__main__.py", "lab.mk", "packages.list"}
# Compiling takes the virtual machine 14 times longer than us, and our Python is not the machine's.
_COMPILE = (
    'mount --bind "$1" "$2/mnt" && exec chroot "$2" '
    "python3 -m compileall -q -s /mnt -p /work --invalidation-mode unchecked-hash /mnt"
)


@contextlib.contextmanager
def filled(root: Path, cluster: str, lab: Path) -> Iterator[Path]:
    """A scratch folder with tests/lab and the stage of a cluster of the repository. Raises LabError.

    `lab` is the machine's tree.
    """
    with tempfile.TemporaryDirectory(prefix="tunnelfleet-lab.") as scratch:
        folder = Path(scratch)
        staging.write(root, cluster, folder / STAGE)
        copy(folder, lab)
        yield folder


def copy(folder: Path, lab: Path) -> None:
    """Copies tests/lab into the folder, compiled for the machine's Python where this user may do that."""
    shutil.copytree(LAB, folder / "tests" / "lab", ignore=_ignored)
    argv = ["unshare", "--mount", "sh", "-c", _COMPILE, "sh", str(folder), str(lab)]
    # without it, or with a module that cannot be compiled, the guest does the same and says what is wrong
    subprocess.run(argv, check=False, capture_output=True)


def _ignored(folder: str, names: list[str]) -> set[str]:
    """What the guest has no use for; programs below tests/lab are its own."""
    unused = _OURS | {"__pycache__"} if Path(folder) == LAB else {"__pycache__"}
    return unused & set(names)
