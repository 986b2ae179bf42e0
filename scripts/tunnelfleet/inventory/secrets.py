"""The Secrets beside an inventory: which entries they provide, without ever decrypting one.

A file in clusters/<name>/secrets/ holds one Secret encrypted by SOPS, or one ExternalSecret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
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


class Protection(StrEnum):
    """How an entry is kept out of Git in the clear."""

    SOPS = "sops"
    EXTERNAL = "external"
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
    """What stands in clusters/<name>/secrets/."""

    files: tuple[str, ...]
    entries: tuple[SecretEntry, ...]
    findings: tuple[Finding, ...]

    def find(self, secret: SecretKey) -> SecretEntry | None:
        return next((entry for entry in self.entries if entry.secret == secret), None)

    @property
    def decrypts(self) -> bool:
        """Whether Flux needs SOPS: always but where there are ExternalSecrets only."""
        return any(entry.protection is not Protection.EXTERNAL for entry in self.entries) or not self.entries

    def digest(self, secrets: Iterable[SecretKey]) -> str:
        """A short digest over the protected form of the given entries: it changes when one of them does."""
        lines = []
        for secret in sorted(secrets, key=lambda item: (item.secret_name, item.key)):
            entry = self.find(secret)
            lines.append(f"{secret.secret_name}/{secret.key}={entry.fingerprint if entry else 'missing'}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read_secrets(root: Path, folder: str) -> SecretFolder:
    """Reads all YAML files in clusters/<folder>/secrets/ but its kustomization.yaml."""
    directory = root / CLUSTERS / folder / SECRETS
    paths = sorted(path for path in directory.glob("*.yaml") if path.name != KUSTOMIZATION)
    entries: list[SecretEntry] = []
    findings: list[Finding] = []
    for path in paths:
        document, problems = read(root, path)
        findings += problems
        if document is not None:
            entries += _entries(document)
    return SecretFolder(tuple(path.name for path in paths), tuple(entries), tuple(findings))


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
    encrypted = isinstance(data.get("sops"), dict)
    entries = []
    for section in ("data", "stringData"):
        for key, value in _mapping(data.get(section)).items():
            is_kept = encrypted and isinstance(value, str) and value.startswith(SOPS_VALUE)
            protection = Protection.SOPS if is_kept else Protection.NONE
            names = (metadata.get("name"), key, metadata.get("namespace"))
            entries += _entry(document, (section, key), names, value, protection)
    return entries


def _external_secret(document: Document, data: dict[str, Any]) -> list[SecretEntry]:
    metadata, spec = _mapping(data.get("metadata")), _mapping(data.get("spec"))
    target = _mapping(spec.get("target"))
    name = target.get("name", metadata.get("name"))
    templated = _mapping(_mapping(target.get("template")).get("data"))
    entries = []
    for key in templated:
        names = (name, key, metadata.get("namespace"))
        entries += _entry(
            document, ("spec", "target", "template", "data", key), names, spec, Protection.EXTERNAL
        )
    items = spec.get("data")
    for index, item in enumerate(items if isinstance(items, list) and not templated else []):
        named = (name, _mapping(item).get("secretKey"), metadata.get("namespace"))
        entries += _entry(document, ("spec", "data", index), named, item, Protection.EXTERNAL)
    return entries
