"""BIRD's configuration at a site (BIRD 2 user's guide).

Announced and learnt routes are kept in two tables: a site that announces one of the cluster's own ranges still sends
by the routes that it has learnt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ..stage import Remote, Tunnel
from .announcing import Attributes, Group
from .clouds import Behaviour
from .links import Link

_GRACEFUL_SHUTDOWN = (65535, 0)
LEARNT = "learnt"
"""Table of what the cluster announces."""


def configuration(
    remote: Remote,
    behaviour: Behaviour,
    links: Sequence[Link],
    groups: Sequence[Group],
    draining: Collection[Tunnel] = (),
) -> str:
    """bird.conf. Raises ValueError where BIRD cannot take the password."""
    parts = [_common(remote, links)]
    parts += [_static(group) for group in groups]
    parts += [_session(remote, behaviour, link, groups, link.tunnel in draining) for link in links]
    return "".join(parts)


def _common(remote: Remote, links: Sequence[Link]) -> str:
    bfd = ""
    if remote.bfd:
        timing = f"interval {remote.bfd.interval} ms; multiplier {remote.bfd.multiplier};"
        bfd = f'protocol bfd {{ accept ipv4 direct; interface "ipsec*" {{ {timing} }}; }}\n'
    return f"""\
log stderr {{ info, remote, warning, error, auth, fatal, bug }};
router id {links[0].tunnel.peer_address};
ipv4 table {LEARNT};
protocol device {{ scan time 600; }}
protocol pipe {{ table master4; peer table {LEARNT}; import none; export where source = RTS_BGP; }}
protocol kernel {{
  scan time 600;
  merge paths yes limit 16;
  ipv4 {{ table {LEARNT}; import none; export all; }};
}}
{bfd}"""


def _static(group: Group) -> str:
    routes = "".join(f"route {prefix} blackhole;\n" for prefix in group.prefixes)
    return f"protocol static {_name(group)} {{\nipv4;\n{routes}}}\n"


def _name(group: Group) -> str:
    return f"announced{group.number}"


def _session(remote: Remote, behaviour: Behaviour, link: Link, groups: Iterable[Group], draining: bool) -> str:
    options = [
        f"local {link.tunnel.inside_peer} as {remote.asn}",
        f"neighbor {link.tunnel.inside_local} as {link.gateway_asn}",
        f'interface "{link.name}"',
        "direct",
        f"hold time {behaviour.hold}",
        f"min hold time {behaviour.minimum_hold}",
        f"keepalive time {behaviour.keepalive}",
        "connect delay time 1",
        "connect retry time 5",
        "error wait time 2, 10",
        f"passive {_yes(behaviour.passive)}",
        f"graceful restart {'on' if behaviour.graceful_restart else 'aware'}",
        # FRR offers it unasked (RFC 9494); no cloud's documentation has it, and BIRD would keep dead gateways' routes
        "long lived graceful restart off",
    ]
    if remote.bfd:
        options.append("bfd on")
    if remote.bgp_password is not None:
        options += ["authentication md5", f"password {_quoted(remote.bgp_password)}"]
    channel = ["next hop self", f"import filter {_import(behaviour, draining)}"]
    if behaviour.maximum_prefixes:
        channel.append(f"import limit {behaviour.maximum_prefixes} action restart")
    channel.append(f"export filter {_export(remote, link.tunnel, groups, draining)}")
    lines = "".join(f"  {option};\n" for option in options)
    inner = "".join(f"    {option};\n" for option in channel)
    return f"protocol bgp {link.name} {{\n{lines}  ipv4 {{\n{inner}  }};\n}}\n"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _quoted(text: str) -> str:
    if '"' in text or not text.isprintable():
        raise ValueError('a BGP password holds `"` or a control character: BIRD cannot take it, use another')
    return f'"{text}"'


def _import(behaviour: Behaviour, draining: bool) -> str:
    if draining:
        return "{ bgp_local_pref = 0; accept; }"
    if behaviour.honours_graceful_shutdown:
        return "{ if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept; }"
    return "{ accept; }"


def _export(remote: Remote, tunnel: Tunnel, groups: Iterable[Group], draining: bool) -> str:
    lines = []
    for group in groups:
        if tunnel in group.ways:
            actions = _actions(remote.asn, group.ways[tunnel], draining)
            lines.append(f'if proto = "{_name(group)}" then {{ {actions}accept; }} ')
    return f"{{ {''.join(lines)}reject; }}"


def _actions(asn: int, attributes: Attributes, draining: bool) -> str:
    communities = attributes.communities + ((_GRACEFUL_SHUTDOWN,) if draining else ())
    actions = [f"bgp_community.add(({high}, {low}));" for high, low in communities]
    actions += [f"bgp_path.prepend({asn});"] * attributes.prepend
    if attributes.med is not None:
        actions.append(f"bgp_med = {attributes.med};")
    return "".join(f"{action} " for action in actions)
