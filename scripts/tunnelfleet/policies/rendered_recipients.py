"""The policy on who can read the cluster's Secrets: those whom .sops.yaml names, and nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunnelfleet.inventory.document import Document, read
from tunnelfleet.inventory.loading import CLUSTERS
from tunnelfleet.inventory.secrets import SECRETS
from tunnelfleet.manifests.rendered import RenderedCluster, mapping
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

RULES = ".sops.yaml"


@policy(
    "secret-recipients-match",
    Scope.RENDERED,
    asks="Every encrypted Secret can be read by exactly the age recipients that .sops.yaml names for it.",
    why="A Secret for another recipient is one that Flux cannot decrypt, or one that somebody who has left still can. "
    "SOPS looks at .sops.yaml only when a file is new (sops, updatekeys).",
    failing="# clusters/iceland-gcp/secrets/secret-ipsec-psk.yaml\nsops:\n  age:\n"
    "    - recipient: age1theKeyOfSomebodyWhoHasLeft",
    passing="# clusters/iceland-gcp/secrets/secret-ipsec-psk.yaml\nsops:\n  age:\n"
    "    - recipient: age1p8kkjhpl3s2utd25l89c9qgdhs3xw7evdppc2yjvjue00ehtjcgshwg4e6",
)
def secret_recipients_match(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    folder = f"{CLUSTERS}/{rendered.loaded.folder}/{SECRETS}"
    for name in rendered.secrets.files:
        document, _ = read(rendered.root, rendered.root / folder / name)
        wanted = _wanted(rendered.root, f"{folder}/{name}")
        found = _recipients(document)
        if document is None or wanted is None or not found or found == wanted:
            continue
        yield LocatedProblem(
            document.locate(("sops", "age", 0, "recipient")),
            f"encrypted for {', '.join(sorted(found))}; {RULES} names {', '.join(sorted(wanted))}",
            f"run: sops updatekeys {folder}/{name}; where a recipient has lost its right, make new keys as well",
            cluster=rendered.loaded.folder,
        )


def _recipients(document: Document | None) -> set[str]:
    recipients = mapping(mapping(document.data).get("sops")).get("age") if document else None
    found = [mapping(each).get("recipient") for each in recipients] if isinstance(recipients, list) else []
    return {each for each in found if isinstance(each, str)}


def _wanted(root: Path, path: str) -> set[str] | None:
    """The age recipients of the first rule for this path; None where there is none, or none of age."""
    rules, _ = read(root, root / RULES) if (root / RULES).is_file() else (None, [])
    listed = mapping(rules.data).get("creation_rules") if rules else None
    for rule in map(mapping, listed if isinstance(listed, list) else []):
        if _applies(rule.get("path_regex"), path):
            age = rule.get("age")
            texts = age.split(",") if isinstance(age, str) else age if isinstance(age, list) else []
            return {str(text).strip() for text in texts} or None
    return None


def _applies(pattern: Any, path: str) -> bool:
    try:
        return pattern is None or re.search(str(pattern), path) is not None
    except re.error:
        return False
