"""The gate: every policy over the fleet, one worker process per processor, and nothing written."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import yaml

from tunnelfleet.findings import Finding, has_errors
from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.generate.overlay import generate
from tunnelfleet.generate.topology import Topology
from tunnelfleet.generate.tree import FLUX_FILES, Drift, differences
from tunnelfleet.inventory.document import Document, read
from tunnelfleet.inventory.loading import CLUSTERS, LoadedCluster, cluster_folders, load
from tunnelfleet.inventory.secrets import read_secrets
from tunnelfleet.manifests.kustomize import Kustomize, KustomizeFailed
from tunnelfleet.manifests.rendered import Manifest, RenderedCluster, parse_manifests
from tunnelfleet.policies.registry import Scope, run_cluster, run_fleet, run_located
from tunnelfleet.policies.rendering import failed_build
from tunnelfleet.policies.tree import Tree


@dataclass(frozen=True, slots=True)
class Inspection:
    """What came of one cluster; `loaded` is None where its inventory cannot be read."""

    folder: str
    loaded: LoadedCluster | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the gate found: the clusters that were looked at, and every finding in the order of the places."""

    inspections: tuple[Inspection, ...]
    findings: tuple[Finding, ...]

    def concerning(self, folders: set[str]) -> tuple[Finding, ...]:
        """The findings in which one of these clusters has a part."""
        return tuple(finding for finding in self.findings if _clusters_in(finding) & folders)

    def of(self, folder: str) -> list[Finding]:
        """The findings that concern one cluster."""
        return [finding for finding in self.findings if finding.cluster == folder]


def _clusters_in(finding: Finding) -> set[str]:
    places = (finding.location, *finding.related)
    named = {place.file.split("/")[1] for place in places if place.file.startswith((f"{CLUSTERS}/", f"{OVERLAYS}/"))}
    return named | ({finding.cluster} if finding.cluster else set())


def check(
    root: Path,
    kustomize: Kustomize,
    selected: set[str] | None = None,
    progress: Callable[[Inspection], None] = lambda inspection: None,
) -> Report:
    """Runs every policy: on the selected clusters (None: all), and between all clusters of the fleet."""
    folders = cluster_folders(root)
    chosen = [folder for folder in folders if selected is None or folder in selected]
    rest = [folder for folder in folders if selected is not None and folder not in selected]
    inspections = []
    with _Workers(len(chosen) * 20 + len(rest)) as run:
        for inspection in run(partial(inspect, root, kustomize), chosen, 1):
            inspections.append(inspection)
            progress(inspection)
        others = list(run(partial(read_only, root), rest, 32))
    everyone = sorted([*inspections, *others], key=lambda inspection: inspection.folder)
    fleet = [inspection.loaded for inspection in everyone if inspection.loaded is not None]
    findings = [finding for inspection in everyone for finding in inspection.findings]
    findings += run_fleet(fleet)
    findings += run_located(Scope.TREE, Tree(root, tuple(folders), frozenset(chosen)))
    return Report(tuple(inspections), tuple(sorted(findings, key=lambda finding: finding.order)))


def available_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _leave_interrupts() -> None:
    """Ctrl-C is the parent's to handle: a worker that it ends too would be waited for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Workers:
    """Maps in order over worker processes, or in this one where there is too little to do for them."""

    def __init__(self, weight: int) -> None:
        workers = available_processors()
        # Forking is cheap, but only Linux does it safely.
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self.pool = None
        if weight > 40 and workers > 1:
            # Where there is no shared memory for a lock, one process does it all.
            with suppress(OSError):
                self.pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts)

    def __enter__(self) -> Callable[[Callable[[str], Inspection], Sequence[str], int], Iterable[Inspection]]:
        return self._map

    def _map(self, work: Callable[[str], Inspection], folders: Sequence[str], at_once: int) -> Iterable[Inspection]:
        return self.pool.map(work, folders, chunksize=at_once) if self.pool else map(work, folders)

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if self.pool:
            workers = multiprocessing.active_children() if failure else []
            self.pool.shutdown(wait=failure is None, cancel_futures=True)
            for worker in workers:
                worker.kill()


def read_only(root: Path, folder: str) -> Inspection:
    """One cluster that only takes part in the policies between clusters."""
    reading = load(root, folder)
    return Inspection(folder, reading.loaded, reading.findings)


def inspect(root: Path, kustomize: Kustomize, folder: str) -> Inspection:
    """One cluster: read, checked, generated in memory, compared with the tree, rendered, checked again."""
    reading = load(root, folder)
    findings = list(reading.findings)
    loaded = reading.loaded
    if loaded is None:
        return Inspection(folder, None, tuple(findings))
    findings += run_cluster(loaded)
    if has_errors(findings):
        return Inspection(folder, loaded, tuple(findings))
    secrets = read_secrets(root, folder)
    expected = generate(root, loaded)
    failures: list[Finding] = []
    found = tuple(differences(root, folder, expected))
    # kustomize would wait for ever where a pipe stands in a file's place.
    foreign = any(difference.drift is Drift.FOREIGN and not (root / difference.path).is_file() for difference in found)
    context = RenderedCluster(
        root=root,
        loaded=loaded,
        topology=Topology(loaded.cluster),
        secrets=secrets,
        expected=expected,
        differences=found,
        manifests=() if foreign else _build(root, kustomize, folder, failures),
        flux=tuple(_flux(root, folder, findings)),
        builds=not failures,
    )
    findings += [replace(finding, cluster=folder) for finding in secrets.findings]
    findings += failures
    findings += run_located(Scope.RENDERED, context)
    return Inspection(folder, loaded, tuple(findings))


def _build(root: Path, kustomize: Kustomize, folder: str, failures: list[Finding]) -> tuple[Manifest, ...]:
    try:
        return parse_manifests(kustomize.build(root / OVERLAYS / folder))
    except (KustomizeFailed, yaml.YAMLError) as error:
        failures.append(failed_build(root, folder, error))
        return ()


def _flux(root: Path, folder: str, findings: list[Finding]) -> Iterator[Document]:
    directory = root / CLUSTERS / folder
    for name in FLUX_FILES:
        if os.path.lexists(directory / name):
            document, problems = read(root, directory / name)
            findings += [replace(finding, cluster=folder) for finding in problems]
            if document is not None:
                yield document
