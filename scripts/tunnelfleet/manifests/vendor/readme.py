"""The README of schemas/, written with them so that it never names another version than they hold."""

from __future__ import annotations

from collections.abc import Sequence

from tunnelfleet.manifests.schemas import KUBERNETES_MINORS
from tunnelfleet.manifests.vendor.sources import Source

_TEXT = """\
<!-- Written by `make vendor-schemas`; edit scripts/tunnelfleet/manifests/vendor/readme.py instead. -->
# Schemas

What manifests are checked against, without network and without a cluster.

| file | what it describes |
| --- | --- |
| `cluster.schema.json` | `clusters/*/cluster.yaml`; generated from `scripts/tunnelfleet/inventory` |
| `kubernetes/v{{minor}}/{{kind}}-{{group}}-{{version}}.json` | Kubernetes' own kinds |
| `crds/{{group}}/{{kind}}-{{version}}.json` | custom resources: Flux, Cilium, External Secrets, Prometheus |
| `kustomize/{{kind}}-{{version}}.json` | `kustomization.yaml` |
| `sarif-2.1.0.json` | what `tunnelfleet check --format sarif` prints |

A manifest must pass under the oldest and the newest supported Kubernetes release ({minors});
`scripts/tunnelfleet/manifests/schemas.py` says why these. Editors use the same files:

```yaml
# yaml-language-server: $schema=../../schemas/kubernetes/v{newest}/deployment-apps-v1.json
```

Each file stands alone, is draft-07, and refuses every field that the API server would refuse or drop. They
hold facts only, no descriptions. What the API server checks in code (names, labels, ports, file modes, values
of enumerations, repeated items) is added where a schema can say it; CEL rules are left out. A list with
`x-kubernetes-list-map-keys` may not hold two items with the same values of these keys.

## Where they come from

| package | version | licence | for |
| --- | --- | --- | --- |
{sources}

## To refresh them

Change a version and its checksum in `scripts/tunnelfleet/manifests/vendor/catalogue.py`, then run
`make vendor-schemas` with network, `go` and `npm`. The same versions give the same bytes.

## The files

{files}
"""


def readme(files: Sequence[str], sources: Sequence[Source]) -> str:
    """The README for these paths below schemas/, made from these packages."""
    return _TEXT.format(
        newest=KUBERNETES_MINORS[-1],
        minors=" and ".join(KUBERNETES_MINORS),
        sources="\n".join(
            f"| {source.name} | {source.version} | {source.licence} | {source.used_for} |" for source in sources
        ),
        files="\n".join(f"- [{name}]({name})" for name in files),
    )
