"""A cluster of this repository as its rendered policies see it."""

from __future__ import annotations

from functools import cache

from tests.support.fleets import REPOSITORY
from tests.support.recipes import kustomize
from tunnelfleet.generate.overlay import generate
from tunnelfleet.generate.topology import Topology
from tunnelfleet.generate.tree import FLUX_FILES, differences
from tunnelfleet.inventory.document import read
from tunnelfleet.inventory.loading import load
from tunnelfleet.inventory.secrets import read_secrets
from tunnelfleet.manifests.rendered import RenderedCluster, parse_manifests


@cache
def rendered(folder: str = "iceland-gcp") -> RenderedCluster:
    """The cluster as it stands in the tree, built by the kustomize of this machine."""
    loaded = load(REPOSITORY, folder).loaded
    assert loaded is not None
    expected = generate(REPOSITORY, loaded)
    documents = [read(REPOSITORY, REPOSITORY / "clusters" / folder / name)[0] for name in FLUX_FILES]
    return RenderedCluster(
        root=REPOSITORY,
        loaded=loaded,
        topology=Topology(loaded.cluster),
        secrets=read_secrets(REPOSITORY, folder),
        expected=expected,
        differences=tuple(differences(REPOSITORY, folder, expected)),
        manifests=parse_manifests(kustomize().build(REPOSITORY / "overlays" / folder)),
        flux=tuple(document for document in documents if document is not None),
    )
