"""Policies of one cluster about BGP: AS numbers and how much is announced."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.policies.places import ADVERTISED, BGP, LOCAL, listed, remotes
from tunnelfleet.policies.registry import Problem, Scope, policy
from tunnelfleet.prefixes import collapse
from tunnelfleet.profiles import PROFILES, effective

LOCAL_ASN = (*BGP, "localASN")
INTERNAL_ASN = (*BGP, "internalASN")
_USABLE = "64512-65534 or 4200000000-4294967294"
_RESERVED_ASNS = {
    0: "it is reserved (RFC 7607)",
    23456: "it stands in for 32-bit numbers (AS_TRANS, RFC 6793)",
    65535: "it is reserved (RFC 7300)",
    4294967295: "it is reserved (RFC 7300)",
}


def _asn_defect(asn: int) -> str | None:
    """Why no router may have this AS number, if so."""
    if not 0 <= asn <= 4294967295:
        return "AS numbers are 1 to 4294967294 (RFC 6793)"
    return _RESERVED_ASNS.get(asn)


@policy(
    "asn-valid",
    Scope.CLUSTER,
    asks="AS numbers are 1 to 4294967294 without 23456 and 65535.",
    why=(
        "Routers close a session whose peer has AS 0 or 23456 and may refuse 65535 and 4294967295"
        " (RFC 7607, RFC 6793, RFC 7300)."
    ),
    failing="spec:\n  bgp: {localASN: 65535}\n",
    passing="spec:\n  bgp: {localASN: 65534}\n",
)
def asn_valid(loaded: LoadedCluster) -> Iterator[Problem]:
    bgp = loaded.cluster.spec.bgp
    numbers: list[tuple[YamlPath, int]] = [(LOCAL_ASN, bgp.local_asn), (INTERNAL_ASN, bgp.internal_asn)]
    numbers += [((*placed.path, "asn"), placed.remote.asn) for placed in remotes(loaded)]
    for path, asn in numbers:
        defect = _asn_defect(asn)
        if defect is not None:
            yield Problem(
                path,
                f"{path[-1]} {asn} cannot be used: {defect}",
                f"write a private AS number, {_USABLE}" if "remotes" not in path else "write the AS of the site",
            )


@policy(
    "asn-distinct",
    Scope.CLUSTER,
    asks="localASN, internalASN and the asn of every remote site differ; two sites may share one.",
    why=(
        "Between equal AS numbers a session is iBGP and nothing learned is passed on, and a path that holds the"
        " receiver's own AS is dropped as a loop (RFC 4271, sections 9.1.2 and 9.2)."
    ),
    failing="spec:\n  bgp: {localASN: 65010, internalASN: 65010}\n",
    passing="spec:\n  bgp: {localASN: 65010, internalASN: 65030}\n",
)
def asn_distinct(loaded: LoadedCluster) -> Iterator[Problem]:
    bgp = loaded.cluster.spec.bgp
    own: list[tuple[YamlPath, int]] = [(LOCAL_ASN, bgp.local_asn), (INTERNAL_ASN, bgp.internal_asn)]
    if bgp.local_asn == bgp.internal_asn:
        place = loaded.locate(*LOCAL_ASN)
        yield Problem(
            INTERNAL_ASN,
            f"internalASN {bgp.internal_asn} is the localASN too ({place})",
            f"write another private AS number, {_USABLE}",
            (place,),
        )
        own.pop()
    for placed in remotes(loaded):
        for path, asn in own:
            if placed.remote.asn == asn:
                place = loaded.locate(*path)
                yield Problem(
                    (*placed.path, "asn"),
                    f"remote `{placed.remote.name}` has AS {asn}, which is the {path[-1]} too ({place})",
                    f"if {asn} is the site's, write another {path[-1]}, {_USABLE}",
                    (place,),
                )


@policy(
    "asn-allowed-by-profile",
    Scope.CLUSTER,
    asks="The asn of every remote site is one that its cloud can have, and localASN one that its cloud takes.",
    why=(
        "Clouds refuse the configuration, or the session, with other AS numbers: Google Cloud Router has a private"
        " one or 16550, Azure reserves several (docs/profiles.md has the sources)."
    ),
    failing="spec:\n  remotes:\n    - {profile: gcp-ha-vpn, asn: 3356}\n",
    passing="spec:\n  remotes:\n    - {profile: generic, asn: 3356}\n",
)
def asn_allowed_by_profile(loaded: LoadedCluster) -> Iterator[Problem]:
    local_asn = loaded.cluster.spec.bgp.local_asn
    judged = set()
    for placed in remotes(loaded):
        remote = placed.remote
        profile = PROFILES[remote.profile]
        place = loaded.locate(*placed.path, "profile")
        if _asn_defect(remote.asn) is None and not any(remote.asn in allowed for allowed in profile.remote_asns):
            yield Problem(
                (*placed.path, "asn"),
                f"remote `{remote.name}` has AS {remote.asn}, which {profile.title} cannot have ({place})",
                f"write the AS number of the site's router: {listed(profile.remote_asns, 9, 'or')}",
                (place,),
            )
        refused = [asns for asns in profile.local_asns_refused if local_asn in asns]
        if refused and remote.profile not in judged and _asn_defect(local_asn) is None:
            judged.add(remote.profile)
            yield Problem(
                LOCAL_ASN,
                f"localASN {local_asn} is refused by {profile.title} of remote `{remote.name}` ({place}),"
                f" which reserves {listed(profile.local_asns_refused, 12)}",
                f"write another private AS number, such as {_free_asn(loaded)}",
                (place,),
            )


def _free_asn(loaded: LoadedCluster) -> int:
    """A private AS number that nothing in the cluster has and no remote site's profile refuses."""
    spec = loaded.cluster.spec
    taken = {spec.bgp.internal_asn, *(remote.asn for remote in spec.remotes)}
    refused = [asns for remote in spec.remotes for asns in PROFILES[remote.profile].local_asns_refused]
    private = chain(range(65010, 65535), range(4200000000, 4294967295))
    return next(asn for asn in private if asn not in taken and not any(asn in asns for asns in refused))


@policy(
    "advertised-count-within-profile-limit",
    Scope.CLUSTER,
    asks="No more ranges are announced to a remote site than it takes.",
    why=(
        "Beyond the limit the session is closed, and with it the site: 100 routes at AWS (Site-to-Site VPN quotas),"
        " 4,000 at Azure (VPN Gateway BGP FAQ). overrides.maximumAdvertised states another limit."
    ),
    failing="""\
spec:
  advertisedCidrs: [172.27.48.0/20, 10.234.0.0/17, 10.234.128.0/17]
  remotes:
    - overrides: {maximumAdvertised: 2}
""",
    passing="""\
spec:
  advertisedCidrs: [172.27.48.0/20, 10.234.0.0/16]
  remotes:
    - overrides: {maximumAdvertised: 2}
""",
)
def advertised_count_within_profile_limit(loaded: LoadedCluster) -> Iterator[Problem]:
    spec = loaded.cluster.spec
    path = ADVERTISED if spec.advertised_cidrs else LOCAL
    announced = {cidr.network for cidr in spec.announced}
    for placed in remotes(loaded):
        profile = effective(placed.remote)
        limit = profile.maximum_advertised
        if limit is not None and len(announced) > limit:
            overridden = placed.remote.overrides.maximum_advertised is not None
            key = ("overrides", "maximumAdvertised") if overridden else ("profile",)
            place = loaded.locate(*placed.path, *key)
            fewest = collapse(announced)
            yield Problem(
                path,
                f"{path[-1]} announce {len(announced)} ranges, remote `{placed.remote.name}` takes {limit} ({place})",
                f"write the same addresses as {listed(fewest)}"
                if len(fewest) <= limit
                else f"set advertisedCidrs to at most {limit} wider ranges",
                (place,),
                at_key=True,
            )
