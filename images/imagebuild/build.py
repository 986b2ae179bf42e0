"""The build: mmdebstrap's tree, normalised into one layer, published as a folder or as an OCI image."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from .errors import BuildError
from .mirror import RELEASE
from .packages import Package, PackageList, parse_package_list
from .tree import (
    Rule,
    added_files,
    kept,
    packages_to_keep,
    parse_rules,
    paths_left_out,
    read_installed,
    write_layer,
)

# Fixed, because files of this owner are shared through host folders between old and new pods.
_ACCOUNTS = (
    "printf 'frr:x:10001:10001::/nonexistent:/usr/sbin/nologin\\n' >>\"$1/etc/passwd\"",
    "printf 'frr:x:10001:\\nfrrvty:x:10002:frr\\n' >>\"$1/etc/group\"",
)
_LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes into the image; `epoch` is the latest time that a file may have (seconds since 1970)."""

    packages: PackageList
    rules: tuple[Rule, ...]
    files: Path
    epoch: int


def read_recipe(folder: Path, epoch: int) -> Recipe:
    """The recipe in this folder: packages.list, files.list, files/. Raises BuildError."""
    packages, rules = folder / "packages.list", folder / "files.list"
    return Recipe(
        packages=parse_package_list(packages.read_text(), packages.name),
        rules=parse_rules(rules.read_text(), rules.name),
        files=folder / "files",
        epoch=epoch,
    )


def build_layer(recipe: Recipe, sources: Iterable[str], scratch: Path) -> tuple[Path, tuple[Package, ...]]:
    """Install the packages and write the layer into `scratch`; give its path and the packages in it.

    `sources` are one-line apt sources or a file of them; none means mmdebstrap's default. Raises BuildError.
    """
    tree, layer = scratch / "tree.tar", scratch / "layer.tar"
    run_mmdebstrap(recipe, tuple(sources), tree)
    installed = read_installed(tree)
    keep = packages_to_keep(installed, recipe.packages)
    left_out = paths_left_out(installed, keep)

    def staying(path: str) -> bool:
        return path not in left_out and kept(path, recipe.rules)

    write_layer(tree, layer, staying=staying, added=added_files(recipe.files, keep), epoch=recipe.epoch)
    tree.unlink()
    return layer, keep


def run_mmdebstrap(recipe: Recipe, sources: tuple[str, ...], tree: Path) -> None:
    """Install the recipe's packages into a new tar archive. Raises BuildError with the log's end."""
    if which("mmdebstrap") is None:
        raise BuildError("mmdebstrap is not installed: apt-get install mmdebstrap (Debian or Ubuntu)")
    result = subprocess.run(
        mmdebstrap_command(recipe, sources, tree),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SOURCE_DATE_EPOCH": str(recipe.epoch), "LC_ALL": "C"},
    )
    if result.returncode != 0:
        end = "\n".join(result.stdout.splitlines()[-_LOG_LINES:])
        raise BuildError(f"mmdebstrap failed ({result.returncode}):\n{end}")


def mmdebstrap_command(recipe: Recipe, sources: tuple[str, ...], tree: Path) -> list[str]:
    """The command line (mmdebstrap(1)). Its tar output is sorted, and its times end at SOURCE_DATE_EPOCH."""
    return [
        "mmdebstrap",
        "--variant=essential",
        "--format=tar",
        '--aptopt=APT::Install-Recommends "false"',
        f"--include={','.join(recipe.packages.install)}",
        *(f"--essential-hook={command}" for command in _ACCOUNTS),
        RELEASE,
        str(tree),
        *sources,
    ]
