"""The Secrets beside an inventory: which entries they provide, without ever decrypting one.

A file in clusters/<name>/secrets/ holds one Secret encrypted by SOPS, or one ExternalSecret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tunnelfleet.findings import Finding, Location
from tunnelfleet.inventory.document import Document, YamlPath, read
from tunnelfleet.inventory.loading import CLUSTERS
from tunnelfleet.inventory.model import SecretKey

SECRETS = "secrets"
KUSTOMIZATION = "kustomization.yaml"
SOPS_VALUE = "ENC["


# What SOPS 3 keeps per kind of recipient; one of them is needed to decrypt.
_RECIPIENTS = ("age", "pgp", "kms", "gcp_kms", "azure_kv", "hc_vault", "hckms", "key_groups")


class Protection(StrEnum):
    """How an entry is kept out of Git in the clear."""

    SOPS = "sops"
    EXTERNAL = "external"
    BROKEN = "broken"
    """Encrypted, but without what SOPS needs to decrypt it."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SecretEntry:
    """One entry of a Secret; `fingerprint` changes when what is kept changes, and tells nothing about it."""

    secret: SecretKey
    namespace: str | None
    protection: Protection
    fingerprint: str
    location: Location


@dataclass(frozen=True, slots=True)
class SecretFolder:
    """What stands in clusters/<name>/secrets/; `documents` are the files that could be read.

    `open_ended` are the Secrets that an ExternalSecret fills with keys that only the vault knows: name -> place.
    """

    files: tuple[str, ...]
    entries: tuple[SecretEntry, ...]
    findings: tuple[Finding, ...]
    documents: tuple[Document, ...] = ()
    open_ended: Mapping[str, Location] = field(default_factory=dict)

    def find(self, secret: SecretKey) -> SecretEntry | None:
        return next((entry for entry in self.entries if entry.secret == secret), None)

    @property
    def decrypts(self) -> bool:
        """Whether Flux needs SOPS: always but where there are ExternalSecrets only."""
        kinds = {_mapping(document.data).get("kind") for document in self.documents}
        return kinds != {"ExternalSecret"}

    def digest(self, secrets: Iterable[SecretKey]) -> str:
        """A short digest over the protected form of the given entries: it changes when one of them does."""
        lines = []
        for secret in sorted(secrets, key=lambda item: (item.secret_name, item.key)):
            entry = self.find(secret)
            lines.append(f"{secret.secret_name}/{secret.key}={entry.fingerprint if entry else 'missing'}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read_secrets(root: Path, folder: str) -> SecretFolder:
    """Reads all YAML files in clusters/<folder>/secrets/ but its kustomization.yaml and hidden ones."""
    directory = root / CLUSTERS / folder / SECRETS
    paths = sorted(
        path for path in directory.glob("*.yaml") if path.name != KUSTOMIZATION and not path.name.startswith(".")
    )
    entries: list[SecretEntry] = []
    findings: list[Finding] = []
    documents: list[Document] = []
    open_ended: dict[str, Location] = {}
    for path in paths:
        document, problems = read(root, path)
        findings += problems
        if document is not None:
            documents.append(document)
            entries += _entries(document)
            open_ended |= _open_ended(document)
    names = tuple(path.name for path in paths)
    return SecretFolder(names, tuple(entries), tuple(findings), tuple(documents), open_ended)


def _entries(document: Document) -> list[SecretEntry]:
    data = document.data
    if not isinstance(data, dict):
        return []
    if data.get("kind") == "Secret":
        return _secret(document, data)
    if data.get("kind") == "ExternalSecret":
        return _external_secret(document, data)
    return []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _entry(
    document: Document, path: YamlPath, names: tuple[Any, Any, Any], kept: Any, protection: Protection
) -> list[SecretEntry]:
    name, key, namespace = names
    if not (isinstance(name, str) and isinstance(key, str) and name and key):
        return []
    fingerprint = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    space = namespace if isinstance(namespace, str) else None
    secret = SecretKey(secret_name=name, key=key)
    return [SecretEntry(secret, space, protection, fingerprint, document.locate_key(path))]


def _secret(document: Document, data: dict[str, Any]) -> list[SecretEntry]:
    metadata = _mapping(data.get("metadata"))
    can_decrypt = _can_decrypt(data.get("sops"))
    entries = []
    for section in ("data", "stringData"):
        for key, value in _mapping(data.get(section)).items():
            protection = Protection.NONE
            if isinstance(value, str) and value.startswith(SOPS_VALUE):
                protection = Protection.SOPS if can_decrypt else Protection.BROKEN
            names = (metadata.get("name"), key, metadata.get("namespace"))
            entries += _entry(document, (section, key), names, value, protection)
    return entries


def _can_decrypt(sops: Any) -> bool:
    """Whether this is what SOPS writes beside the values: a recipient, and the code that proves them whole."""
    kept = _mapping(sops)
    return isinstance(kept.get("mac"), str) and any(kept.get(recipients) for recipients in _RECIPIENTS)


def _external_secret(document: Document, data: dict[str, Any]) -> list[SecretEntry]:
    metadata, spec = _mapping(data.get("metadata")), _mapping(data.get("spec"))
    name, namespace = target_name(document), metadata.get("namespace")
    template = _template(data)
    entries = []
    for key in _mapping(template.get("data")):
        path: YamlPath = ("spec", "target", "template", "data", key)
        entries += _entry(document, path, (name, key, namespace), spec, Protection.EXTERNAL)
    if not _replaces(template):
        items = spec.get("data")
        for index, item in enumerate(items if isinstance(items, list) else []):
            names = (name, _mapping(item).get("secretKey"), namespace)
            entries += _entry(document, ("spec", "data", index), names, item, Protection.EXTERNAL)
    return entries


def _open_ended(document: Document) -> dict[str, Location]:
    """The Secret that an ExternalSecret fills with keys which do not stand here, and where it says so."""
    data = _mapping(document.data)
    if data.get("kind") != "ExternalSecret":
        return {}
    name, template = target_name(document), _template(data)
    path: YamlPath | None = None
    if template.get("templateFrom"):
        path = ("spec", "target", "template", "templateFrom")
    elif _mapping(data.get("spec")).get("dataFrom") and not _replaces(template):
        path = ("spec", "dataFrom")
    return {name: document.locate_key(path)} if path and isinstance(name, str) else {}


def target_name(document: Document) -> Any:
    """The name of the Secret that there will be: an ExternalSecret's target may have another name than itself."""
    data = _mapping(document.data)
    name = _mapping(data.get("metadata")).get("name")
    if data.get("kind") != "ExternalSecret":
        return name if data.get("kind") == "Secret" else None
    return _mapping(_mapping(data.get("spec")).get("target")).get("name", name)


def _template(data: dict[str, Any]) -> dict[str, Any]:
    return _mapping(_mapping(_mapping(data.get("spec")).get("target")).get("template"))


def _replaces(template: dict[str, Any]) -> bool:
    """Whether the template's keys are all that there will be (External Secrets Operator, mergePolicy)."""
    return bool(template.get("data") or template.get("templateFrom")) and template.get("mergePolicy") != "Merge"
