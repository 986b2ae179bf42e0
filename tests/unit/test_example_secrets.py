"""The example fleet's secrets: every key that a cluster.yaml refers to is there, encrypted, its own, and fits."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunnelfleet.inventory.loading import cluster_folders, load
from tunnelfleet.inventory.model import Cluster, SecretKey
from tunnelfleet.inventory.secrets import Protection, SecretFolder, read_secrets
from tunnelfleet.profiles import effective

REPOSITORY = Path(__file__).parents[2]
KEY_FILE = REPOSITORY / "tests" / "example.agekey"
SOPS = os.environ.get("SOPS") or shutil.which("sops")

FOLDERS = [folder for folder in cluster_folders(REPOSITORY) if (REPOSITORY / "clusters" / folder / "secrets").is_dir()]


def cluster(folder: str) -> Cluster:
    reading = load(REPOSITORY, folder)
    assert reading.loaded is not None, reading.findings
    return reading.loaded.cluster


def wanted(spec: Cluster) -> list[SecretKey]:
    """All Secret entries that the cluster refers to."""
    remotes = spec.spec.remotes
    keys = [tunnel.preshared_key for remote in remotes for tunnel in remote.tunnels]
    return [*keys, *(remote.bgp_password for remote in remotes if remote.bgp_password), spec.spec.bgp.password]


def secrets(folder: str) -> SecretFolder:
    return read_secrets(REPOSITORY, folder)


@cache
def decrypted(path: Path) -> dict[str, Any]:
    if SOPS is None:
        pytest.skip("sops is neither in $SOPS nor on the PATH: the examples' secrets are NOT decrypted by this run")
    environment = {**os.environ, "SOPS_AGE_KEY_FILE": str(KEY_FILE), "SOPS_DISABLE_VERSION_CHECK": "1"}
    done = subprocess.run([SOPS, "decrypt", str(path)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifest: dict[str, Any] = yaml.safe_load(done.stdout)
    return manifest


def values(folder: str) -> dict[SecretKey, str]:
    """The entries of the folder's encrypted Secrets, decrypted."""
    found = {}
    for path in sorted((REPOSITORY / "clusters" / folder / "secrets").glob("secret-*.yaml")):
        manifest = decrypted(path)
        for key, value in manifest["stringData"].items():
            found[SecretKey(secret_name=manifest["metadata"]["name"], key=key)] = value
    return found


def test_there_are_examples_of_both_kinds() -> None:
    kinds = {entry.protection for folder in FOLDERS for entry in secrets(folder).entries}
    assert kinds == {Protection.SOPS, Protection.EXTERNAL}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_entry_that_the_cluster_needs_is_there_and_no_other(folder: str) -> None:
    spec = cluster(folder)
    there = secrets(folder)
    assert there.findings == ()
    assert {entry.secret for entry in there.entries} == set(wanted(spec))
    assert len(there.entries) == len(wanted(spec))
    assert {entry.namespace for entry in there.entries} == {spec.spec.namespace}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_entry_is_in_plain_text(folder: str) -> None:
    assert Protection.NONE not in {entry.protection for entry in secrets(folder).entries}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_key_fits_its_site(folder: str) -> None:
    found = values(folder)
    for remote in cluster(folder).spec.remotes if found else ():
        for tunnel in remote.tunnels:
            assert effective(remote).accepts_key(found[tunnel.preshared_key]), tunnel.preshared_key.key


def test_no_two_entries_of_the_fleet_are_the_same() -> None:
    found = [value for folder in FOLDERS for value in values(folder).values()]
    assert len(set(found)) == len(found)
    assert min(map(len, found)) >= 20


def test_the_examples_key_says_that_it_protects_nothing() -> None:
    text = KEY_FILE.read_text()
    assert "protect nothing" in text
    assert yaml.safe_load((REPOSITORY / ".sops.yaml").read_text())["creation_rules"][0]["age"] in text
