"""Policies of one cluster about what a remote site does differently from its profile."""

from __future__ import annotations

from collections.abc import Iterator

from tunnelfleet.findings import Severity
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.inventory.model import alias
from tunnelfleet.policies.places import PlacedRemote, remotes
from tunnelfleet.policies.registry import Problem, Scope, policy
from tunnelfleet.profiles import LINK_LOCAL, PROFILES, effective
from tunnelfleet.proposals import faults

_UNRELIABLE_BELOW_DEFAULT = {"azure-vpn"}


@policy(
    "overrides-consistent",
    Scope.CLUSTER,
    asks=(
        "What overrides change still fits the rest: the hold time is at least three keepalives, a CHILD SA does not"
        " outlive its IKE SA, insideAllowed is link-local, proposals are whole and of safe algorithms."
    ),
    why=(
        "With a hold time of less than three keepalives, one or two lost packets end the session (RFC 4271, section"
        " 4.4); an IKE SA that ends takes its CHILD SAs with it (RFC 7296, section 1.4.1). An override of one value"
        " is easily forgotten in the other."
    ),
    failing="spec:\n  remotes:\n    - overrides: {hold: 9}\n",
    passing="spec:\n  remotes:\n    - overrides: {keepalive: 3, hold: 9}\n",
)
def overrides_consistent(loaded: LoadedCluster) -> Iterator[Problem]:
    for placed in remotes(loaded):
        yield from _contradictions(placed)
        yield from _unusable_proposals(placed)


def _contradictions(placed: PlacedRemote) -> Iterator[Problem]:
    overrides, profile = placed.remote.overrides, effective(placed.remote)
    path = (*placed.path, "overrides")

    def overridden(*fields: str) -> str:
        return alias(next(field for field in fields if getattr(overrides, field) is not None))

    if profile.hold < 3 * profile.keepalive:
        yield Problem(
            (*path, overridden("hold", "keepalive")),
            f"a hold time of {profile.hold} s is less than three keepalives of {profile.keepalive} s",
            f"write keepalive: {profile.hold // 3} or hold: {3 * profile.keepalive}",
        )
    if profile.esp_lifetime > profile.ike_lifetime:
        yield Problem(
            (*path, overridden("esp_lifetime", "ike_lifetime")),
            f"a CHILD SA of {profile.esp_lifetime} s outlives its IKE SA of {profile.ike_lifetime} s",
            f"write espLifetime: {profile.ike_lifetime}, or less",
        )
    for index, allowed in enumerate(overrides.inside_allowed or []):
        if not allowed.network.subnet_of(LINK_LOCAL):
            yield Problem(
                (*path, "insideAllowed", index),
                f"{allowed.network} is not in {LINK_LOCAL}, which addresses inside tunnels come from",
                f"write a range of {LINK_LOCAL}",
            )


def _unusable_proposals(placed: PlacedRemote) -> Iterator[Problem]:
    overrides, profile = placed.remote.overrides, PROFILES[placed.remote.profile]
    proposals = (
        ("ikeProposals", overrides.ike_proposals, profile.ike_proposals),
        ("espProposals", overrides.esp_proposals, profile.esp_proposals),
    )
    for key, given, usual in proposals:
        for index, proposal in enumerate(given or []):
            for fault in faults(proposal, ike=key == "ikeProposals"):
                path = (*placed.path, "overrides", key, index)
                yield Problem(path, f"{proposal} cannot be proposed: {fault}", f"write one like {usual[0]}")


@policy(
    "hold-supported-by-peer",
    Scope.CLUSTER,
    asks="overrides.hold is not shorter than the timers that a cloud is reliable with.",
    why=(
        "Azure sends its keepalives every 60 s; timers below 60 and 180 s are not reliable there (VPN Gateway FAQ,"
        " BFD). A shorter hold time can expire between two of them, again and again."
    ),
    severity=Severity.WARNING,
    failing="""\
spec:
  remotes:
    - profile: azure-vpn
      overrides: {keepalive: 10, hold: 30}
      tunnels:
        - inside: {local: 169.254.21.1, peer: 169.254.21.2, cidr: 169.254.21.0/30}
        - inside: {local: 169.254.22.1, peer: 169.254.22.2, cidr: 169.254.22.0/30}
""",
    passing="""\
spec:
  remotes:
    - profile: azure-vpn
      overrides: {keepalive: 30, hold: 180}
      tunnels:
        - inside: {local: 169.254.21.1, peer: 169.254.21.2, cidr: 169.254.21.0/30}
        - inside: {local: 169.254.22.1, peer: 169.254.22.2, cidr: 169.254.22.0/30}
""",
)
def hold_supported_by_peer(loaded: LoadedCluster) -> Iterator[Problem]:
    for placed in remotes(loaded):
        profile = PROFILES[placed.remote.profile]
        hold = placed.remote.overrides.hold
        if profile.name in _UNRELIABLE_BELOW_DEFAULT and hold is not None and hold < profile.hold:
            place = loaded.locate(*placed.path, "profile")
            yield Problem(
                (*placed.path, "overrides", "hold"),
                f"hold {hold} is shorter than the {profile.hold} s that {profile.title} is reliable with ({place})",
                "remove keepalive and hold from the overrides",
                (place,),
            )


@policy(
    "bfd-supported-by-peer",
    Scope.CLUSTER,
    asks="overrides.bfd is not turned on towards a cloud that does not speak BFD.",
    why=(
        "A BFD session that never comes up notices no failure: failover waits for the hold time, though the"
        " inventory promises better. Google Cloud HA VPN and Azure VPN Gateway document that they have none."
    ),
    severity=Severity.WARNING,
    failing="spec:\n  remotes:\n    - overrides: {bfd: {interval: 300, multiplier: 3}}\n",
    passing="spec:\n  remotes:\n    - overrides: {bfd: false}\n",
)
def bfd_supported_by_peer(loaded: LoadedCluster) -> Iterator[Problem]:
    for placed in remotes(loaded):
        profile = PROFILES[placed.remote.profile]
        if placed.remote.overrides.bfd and profile.bfd is None:
            place = loaded.locate(*placed.path, "profile")
            yield Problem(
                (*placed.path, "overrides", "bfd"),
                f"BFD is on towards remote `{placed.remote.name}`, but {profile.title} does not speak it ({place})",
                "remove bfd from the overrides",
                (place,),
            )
