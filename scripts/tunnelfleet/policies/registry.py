"""What a policy is, the list of all of them, and how they are run.

A policy is one function that yields problems, with a name, a severity, what it asks and why, and two
examples: one that fails it and one that passes. The tests run them and `tunnelfleet explain` prints them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NotRequired, TypedDict, TypeVar, Unpack, overload

from tunnelfleet.findings import Finding, Location, Severity
from tunnelfleet.inventory.document import READING, YamlPath
from tunnelfleet.inventory.loading import LoadedCluster


class Scope(StrEnum):
    """What a policy looks at."""

    READING = "reading"
    CLUSTER = "cluster"
    FLEET = "fleet"
    RENDERED = "rendered"
    TREE = "tree"


NAMES = (
    READING,
    # one cluster
    "local-cidrs-cover-cluster",
    "advertised-within-local",
    "networks-disjoint",
    "cidr-host-bits",
    "accepted-cidrs-disjoint-from-local",
    "accepted-cidrs-not-special",
    "local-cidrs-not-special",
    "names-distinct",
    "gateway-nodes-distinct",
    "gateway-addresses-distinct",
    "gateway-address-in-node-range",
    "gateway-reference-exists",
    "remote-uses-two-gateways",
    "gateways-used",
    "gateway-address-public",
    "gateway-address-not-routed",
    "peer-address-not-routed",
    "peer-address-public",
    "inside-addresses-valid",
    "inside-range-reserved",
    "inside-ranges-disjoint",
    "tunnel-endpoints-distinct",
    "asn-valid",
    "asn-distinct",
    "asn-allowed-by-profile",
    "advertised-count-within-profile-limit",
    "overrides-consistent",
    "hold-supported-by-peer",
    "bfd-supported-by-peer",
    "name-matches-folder",
    "kubernetes-names-valid",
    # the fleet
    "cluster-names-unique",
    "advertised-cidrs-unique-per-remote",
    "inside-ranges-unique-per-remote",
    "public-addresses-unique",
    "gateway-nodes-unique",
    "peer-endpoints-unique",
    "remotes-agree",
    # the rendered manifests and the tree
    "overlay-matches-inventory",
    "overlay-renders",
    "manifest-schema-valid",
    "images-pinned",
    "namespace-consistent",
    "gateways-pinned-to-distinct-nodes",
    "privileges-allow-listed",
    "probes-and-resources-set",
    "tolerations-cover-all-nodes",
    "no-plaintext-secrets",
    "preshared-keys-provided",
    "secret-recipients-match",
    "rendered-selectors-match",
    "rendered-prefix-lists-match",
    "orphan-overlays",
    "flux-paths-exist",
    "flux-prune-and-wait",
)
"""Every policy, in the order in which they run and are printed; a name without a policy fails the tests."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not hold within one cluster.

    `path` leads to the offending value through the keys of cluster.yaml; `at_key` points at its key instead.
    """

    path: YamlPath
    message: str
    hint: str = ""
    related: tuple[Location, ...] = ()
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class FleetProblem:
    """What does not hold between clusters: the same, with the cluster whose value is pointed at."""

    cluster: LoadedCluster
    path: YamlPath
    message: str
    hint: str = ""
    related: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class LocatedProblem:
    """What does not hold in a rendered manifest or in the tree; `cluster` is a folder's name or None."""

    location: Location
    message: str
    hint: str = ""
    related: tuple[Location, ...] = ()
    cluster: str | None = None


ClusterCheck = Callable[[LoadedCluster], Iterable[Problem]]
FleetCheck = Callable[[Sequence[LoadedCluster]], Iterable[FleetProblem]]
LocatedCheck = Callable[[Any], Iterable[LocatedProblem]]
Located = TypeVar("Located", bound=LocatedCheck)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy; `check` is None only for what the loader itself finds while it reads."""

    name: str
    scope: Scope
    severity: Severity
    asks: str
    """What must hold, in one sentence."""
    why: str
    """What goes wrong otherwise, and who says so."""
    failing: str
    """A piece of YAML that fails the policy."""
    passing: str
    """The same piece, mended."""
    check: Callable[[Any], Iterable[Any]] | None


class About(TypedDict):
    """What `@policy` says about a check."""

    asks: str
    why: str
    failing: str
    passing: str
    severity: NotRequired[Severity]


_registered: dict[str, Policy] = {}


def register(registered: Policy) -> None:
    """Adds a policy; raises ValueError where its name is taken or is not in NAMES."""
    if registered.name in _registered:
        raise ValueError(f"two policies are called {registered.name}")
    if registered.name not in NAMES:
        raise ValueError(f"{registered.name} is not in registry.NAMES")
    _registered[registered.name] = registered


@overload
def policy(
    name: str, scope: Literal[Scope.CLUSTER], **about: Unpack[About]
) -> Callable[[ClusterCheck], ClusterCheck]: ...


@overload
def policy(name: str, scope: Literal[Scope.FLEET], **about: Unpack[About]) -> Callable[[FleetCheck], FleetCheck]: ...


@overload
def policy(
    name: str, scope: Literal[Scope.RENDERED, Scope.TREE], **about: Unpack[About]
) -> Callable[[Located], Located]: ...


def policy(name: str, scope: Scope, **about: Unpack[About]) -> Callable[[Any], Any]:
    """Registers the decorated function as the check of a policy."""

    def decorate(check: Callable[[Any], Iterable[Any]]) -> Callable[[Any], Iterable[Any]]:
        register(
            Policy(
                name=name,
                scope=scope,
                severity=about.get("severity", Severity.ERROR),
                asks=about["asks"],
                why=about["why"],
                failing=about["failing"],
                passing=about["passing"],
                check=check,
            )
        )
        return check

    return decorate


def policies(*scopes: Scope) -> list[Policy]:
    """The policies of these scopes, or all of them, in the order of NAMES."""
    chosen = [one for one in _registered.values() if not scopes or one.scope in scopes]
    return sorted(chosen, key=lambda one: NAMES.index(one.name))


def run_cluster(loaded: LoadedCluster) -> list[Finding]:
    """What the policies of one cluster find, in the order of the places."""
    return _ordered(
        _finding(one, loaded, problem)
        for one in policies(Scope.CLUSTER)
        for problem in (one.check(loaded) if one.check else ())
    )


def run_fleet(fleet: Sequence[LoadedCluster]) -> list[Finding]:
    """What the policies between clusters find, whatever order they are given in, in the order of the places."""
    fleet = sorted(fleet, key=lambda loaded: loaded.folder)
    return _ordered(
        _finding(one, problem.cluster, problem)
        for one in policies(Scope.FLEET)
        for problem in (one.check(fleet) if one.check else ())
    )


def run_located(scope: Scope, context: object) -> list[Finding]:
    """What the policies of Scope.RENDERED or Scope.TREE find in the context that their checks take."""
    return _ordered(
        Finding(
            one.name,
            one.severity,
            problem.cluster,
            problem.location,
            problem.message,
            problem.hint,
            problem.related,
        )
        for one in policies(scope)
        for problem in (one.check(context) if one.check else ())
    )


def _finding(one: Policy, loaded: LoadedCluster, problem: Problem | FleetProblem) -> Finding:
    at_key = isinstance(problem, Problem) and problem.at_key
    locate = loaded.document.locate_key if at_key else loaded.document.locate
    return Finding(
        one.name,
        one.severity,
        loaded.folder,
        locate(problem.path),
        problem.message,
        problem.hint,
        problem.related,
    )


def _ordered(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.order)
