"""The policy on the Secrets that the gateways mount: whether they will be there, and each tunnel's its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tunnelfleet.findings import Location
from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.inventory.loading import CLUSTERS, LoadedCluster
from tunnelfleet.inventory.model import SecretKey
from tunnelfleet.inventory.secrets import SECRETS, Protection, SecretEntry, target_name
from tunnelfleet.manifests.origin import place_of
from tunnelfleet.manifests.rendered import RenderedCluster, mapping
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy
from tunnelfleet.policies.rendered_flux import secrets_kustomization


@policy(
    "preshared-keys-provided",
    Scope.RENDERED,
    asks="Each tunnel's key, and each BGP password, is an entry of one encrypted Secret or ExternalSecret that Flux "
    "can apply, and none serves twice.",
    why="A gateway without its key never comes up, and one key for two tunnels lets either end pose as the other.",
    failing="# clusters/iceland-gcp/cluster.yaml\nspec:\n  remotes:\n    - tunnels:\n"
    "        - presharedKey: {secretName: ipsec-psk, key: gcp-us-central1-a}\n"
    "        - presharedKey: {secretName: ipsec-psk, key: gcp-us-central1-a}",
    passing="# clusters/iceland-gcp/cluster.yaml\nspec:\n  remotes:\n    - tunnels:\n"
    "        - presharedKey: {secretName: ipsec-psk, key: gcp-us-central1-a}\n"
    "        - presharedKey: {secretName: ipsec-psk, key: gcp-us-central1-b}",
)
def preshared_keys_provided(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    loaded = rendered.loaded
    users: dict[SecretKey, list[Location]] = defaultdict(list)
    for path, secret in _wanted(loaded):
        location = loaded.locate(*path)
        users[secret].append(location)
        entry = rendered.secrets.find(secret)
        if entry is None:
            yield _absent(rendered, secret, location)
        elif entry.protection is Protection.NONE:
            message = f"{_shown(secret)} stands in plain text at {entry.location}"
            hint = f"replace it, it is no secret any more; then encrypt: sops encrypt --in-place {entry.location.file}"
            yield LocatedProblem(location, message, hint, (entry.location,), loaded.folder)
        elif entry.protection is Protection.BROKEN:
            message = f"{_shown(secret)} at {entry.location} cannot be decrypted: the file has no whole `sops` section"
            hint = f"write it anew: sops {entry.location.file}"
            yield LocatedProblem(location, message, hint, (entry.location,), loaded.folder)
    for secret, places in users.items():
        for location in places[1:]:
            message = f"{_shown(secret)} is used at {places[0]} already"
            hint = "give each tunnel a key of its own, and BGP its own password"
            yield LocatedProblem(location, message, hint, (places[0],), loaded.folder)
    yield from _twice(rendered)
    yield from _undecrypted(rendered)


def _wanted(loaded: LoadedCluster) -> Iterator[tuple[YamlPath, SecretKey]]:
    spec = loaded.cluster.spec
    yield ("spec", "bgp", "password"), spec.bgp.password
    for number, remote in enumerate(spec.remotes):
        if remote.bgp_password is not None:
            yield ("spec", "remotes", number, "bgpPassword"), remote.bgp_password
        for index, tunnel in enumerate(remote.tunnels):
            yield ("spec", "remotes", number, "tunnels", index, "presharedKey"), tunnel.preshared_key


def _shown(secret: SecretKey) -> str:
    return f"{secret.secret_name}/{secret.key}"


def _absent(rendered: RenderedCluster, secret: SecretKey, location: Location) -> LocatedProblem:
    folder = rendered.loaded.folder
    if vague := rendered.secrets.open_ended.get(secret.secret_name):
        message = f"whether {_shown(secret)} exists cannot be told: {vague} takes whatever keys the vault has"
        hint = f"name it under spec.data of the ExternalSecret: - secretKey: {secret.key}"
        return LocatedProblem(location, message, hint, (vague,), folder)
    holder = next((each for each in rendered.secrets.documents if target_name(each) == secret.secret_name), None)
    if holder is None:
        file = f"{CLUSTERS}/{folder}/{SECRETS}/secret-{secret.secret_name}.yaml"
        message = f"there is no Secret {secret.secret_name} in {CLUSTERS}/{folder}/{SECRETS}, to hold {secret.key}"
        return LocatedProblem(location, message, f"write it: sops {file}", cluster=folder)
    there = sorted(each.secret.key for each in rendered.secrets.entries if each.location.file == holder.file)
    message = (
        f"Secret {secret.secret_name} has no {secret.key}, {'but ' + ', '.join(there) if there else 'and nothing else'}"
    )
    is_external = mapping(holder.data).get("kind") == "ExternalSecret"
    hint = f"add it under spec.data in {holder.file}" if is_external else f"add it: sops {holder.file}"
    return LocatedProblem(location, message, hint, (holder.locate(()),), folder)


def _twice(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    """The Secrets that two files bring: kustomize refuses both, or one overwrites the other."""
    first: dict[str, SecretEntry] = {}
    told: set[str] = set()
    for entry in rendered.secrets.entries:
        other = first.setdefault(entry.secret.secret_name, entry)
        if entry.location.file not in {other.location.file, *told}:
            told.add(entry.location.file)
            message = f"Secret {entry.secret.secret_name} is also at {other.location}"
            hint = "keep all its entries in one file"
            yield LocatedProblem(entry.location, message, hint, (other.location,), rendered.loaded.folder)


def _undecrypted(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    """Where Flux would apply the ciphertext as if it were the key."""
    encrypted = next((entry for entry in rendered.secrets.entries if entry.protection is Protection.SOPS), None)
    found = secrets_kustomization(rendered)
    if encrypted is None or found is None:
        return
    document, spec = found
    decryption = mapping(spec.get("decryption"))
    if decryption.get("provider") != "sops" or not mapping(decryption.get("secretRef")).get("name"):
        message = f"does not decrypt what SOPS encrypted at {encrypted.location}"
        hint = f"run `tunnelfleet generate {rendered.loaded.folder}`"
        place = place_of(document, ("spec", "decryption"))
        yield LocatedProblem(place, message, hint, (encrypted.location,), rendered.loaded.folder)
