"""How long the gate takes, as ratios to bare `kustomize build` over the same overlays at the same parallelism.

Every figure is measured in this run; the baseline is run before and after, and the faster of the two counts, so
that a machine that warms up flatters nobody. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.fleets import write_fleet
from tunnelfleet.checking import available_processors, inspect
from tunnelfleet.generate.overlay import generate
from tunnelfleet.inventory.loading import cluster_folders, load
from tunnelfleet.manifests.kustomize import Kustomize, find_kustomize
from tunnelfleet.manifests.rendered import parse_manifests


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tunnelfleet(root: Path, *arguments: str) -> None:
    """The real command as a process of its own; fails loudly unless it exits 0."""
    command = [sys.executable, "-m", "tunnelfleet", *arguments, "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def bare_builds(root: Path, kustomize: Kustomize) -> None:
    """`kustomize build` of every overlay, one per processor at a time, the output thrown away."""

    def build(folder: str) -> None:
        command = [*kustomize.command, str(root / "overlays" / folder)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    with ThreadPoolExecutor(available_processors()) as pool:
        list(pool.map(build, cluster_folders(root)))


def commit(root: Path) -> None:
    """Makes the fleet a Git repository with one commit."""
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "fleet"]):
        subprocess.run(["git", "-C", str(root), *command], check=True, capture_output=True)


def touch_one_cluster(root: Path) -> None:
    """Changes one cluster's inventory, and generates it anew."""
    path = root / "clusters" / cluster_folders(root)[0] / "cluster.yaml"
    path.write_text(path.read_text().replace("192.168.0.0/16", "192.168.0.0/17"))
    tunnelfleet(root, "generate", path.parent.name)


def stages(root: Path, kustomize: Kustomize) -> dict[str, float]:
    """Seconds of one processor for each stage of the gate, over a sample of the fleet, scaled to all of it."""
    folders = cluster_folders(root)
    sample = folders[:: max(1, len(folders) // 20)]
    loaded = [reading.loaded for reading in (load(root, folder) for folder in sample) if reading.loaded]
    outputs = [kustomize.build(root / "overlays" / folder) for folder in sample]
    scale = len(folders) / len(sample)
    return {
        "load": scale * seconds(lambda: [load(root, folder) for folder in sample]),
        "generate in memory": scale * seconds(lambda: [generate(root, cluster) for cluster in loaded]),
        "kustomize build": scale * seconds(lambda: [kustomize.build(root / "overlays" / f) for f in sample]),
        "parse the output": scale * seconds(lambda: [parse_manifests(output) for output in outputs]),
        "all of this, schemas and policies": scale * seconds(lambda: [inspect(root, kustomize, f) for f in sample]),
    }


def measure(count: int, table: Table, console: Console) -> None:
    """Measures one fleet and adds its rows."""
    kustomize = find_kustomize()
    with tempfile.TemporaryDirectory(prefix="tunnelfleet-bench-") as folder:
        root = Path(folder)
        write_fleet(root, count)
        generated = seconds(lambda: tunnelfleet(root, "generate"))
        commit(root)
        before = seconds(lambda: bare_builds(root, kustomize))
        checked = seconds(lambda: tunnelfleet(root, "check"))
        baseline = min(before, seconds(lambda: bare_builds(root, kustomize)))
        again = seconds(lambda: tunnelfleet(root, "generate", "--check"))
        touch_one_cluster(root)
        changed = seconds(lambda: tunnelfleet(root, "check", "--changed-since", "HEAD"))
        rows = {
            "bare kustomize build (baseline)": baseline,
            "generate, from nothing": generated,
            "generate --check": again,
            "check": checked,
            "check --changed-since, one cluster changed": changed,
        }
        for what, taken in rows.items():
            table.add_row(str(count), what, f"{taken:.2f}", f"{taken / baseline:.2f}")
        for what, taken in stages(root, kustomize).items():
            table.add_row(str(count), f"  of one processor: {what}", f"{taken:.2f}", f"{taken / baseline:.2f}")
        table.add_section()
        console.print(f"{count} clusters measured", style="dim")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints one table for all fleet sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1, 100, 1000], help="clusters in the fleet")
    sizes = parser.parse_args(arguments).sizes
    kustomize = find_kustomize()
    console = Console(width=110)
    title = f"kustomize {kustomize.version}, {available_processors()} at a time, Python {sys.version.split()[0]}"
    table = Table(title=title, title_justify="left")
    for column in ("CLUSTERS", "WHAT", "SECONDS", "x BASELINE"):
        table.add_column(column, justify="left" if column == "WHAT" else "right")
    os.environ.setdefault("NO_COLOR", "1")
    for size in sizes:
        measure(size, table, console)
    console.print(table)


if __name__ == "__main__":
    main()
