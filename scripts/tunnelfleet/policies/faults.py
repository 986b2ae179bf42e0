"""What is wrong with rendered manifests, said once for all that have it from the same place of base/."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tunnelfleet.findings import Location
from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.manifests.origin import origin
from tunnelfleet.manifests.rendered import Manifest, RenderedCluster
from tunnelfleet.policies.registry import LocatedProblem


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at `path` of a manifest."""

    manifest: Manifest
    path: YamlPath
    message: str
    hint: str


Said = LocatedProblem | Fault
"""What a check says: at a place already, or of a manifest."""


def said(rendered: RenderedCluster, everything: Iterable[Said]) -> Iterator[LocatedProblem]:
    """All that was said, each once: what is at a place first, then the faults of manifests."""
    problems: dict[LocatedProblem, None] = {}
    faults = []
    for each in everything:
        if isinstance(each, Fault):
            faults.append(each)
        else:
            problems[each] = None
    yield from problems
    yield from located(rendered, faults)


def located(rendered: RenderedCluster, faults: Iterable[Fault]) -> Iterator[LocatedProblem]:
    """The faults at the places they come from; the manifests that share one are named together."""
    sharing: dict[tuple[Location, str, str], list[Manifest]] = defaultdict(list)
    for fault in faults:
        place = origin(rendered.root, rendered.loaded.folder, fault.manifest, fault.path)
        sharing[place, fault.message, fault.hint].append(fault.manifest)
    for (place, message, hint), manifests in sharing.items():
        yield LocatedProblem(place, f"{named(manifests)}: {message}", hint, cluster=rendered.loaded.folder)


def named(manifests: Iterable[Manifest]) -> str:
    """The manifests as a message names them: `Deployments a and b, DaemonSet c`."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for manifest in manifests:
        if manifest.name not in by_kind[manifest.kind]:
            by_kind[manifest.kind].append(manifest.name)
    return ", ".join(
        f"{kind or 'object'}{'s' if len(names) > 1 else ''} {_joined(names)}" for kind, names in by_kind.items()
    )


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
