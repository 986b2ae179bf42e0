"""charon's configuration at a site: strongswan.conf(5) and swanctl.conf(5)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from ..stage import Tunnel
from .clouds import Behaviour, Retransmission
from .links import Link


def daemon_settings(retransmission: Retransmission) -> str:
    """strongswan.conf."""
    return f"""\
charon {{
  load = nonce! openssl! kernel-netlink! socket-default! vici!
  install_routes = no
  install_virtual_ip = no
  process_route = no
  retransmit_timeout = {retransmission.timeout}
  retransmit_base = {retransmission.base}
  retransmit_tries = {retransmission.tries}
  plugins {{
    kernel-netlink {{
      roam_events = no
    }}
    socket-default {{
      use_ipv6 = no
    }}
  }}
  filelog {{
    stderr {{
      default = 1
      enc = 0
      net = 0
      ike_name = yes
      flush_line = yes
      time_format = %H:%M:%S
    }}
  }}
}}
swanctl {{
  load = openssl
}}
"""


def connections(links: Iterable[Link], behaviour: Behaviour) -> str:
    """swanctl.conf but for the secrets, which it includes."""
    blocks = "".join(_connection(link, behaviour) for link in links)
    return f"connections {{\n{blocks}}}\ninclude secrets.conf\n"


def _connection(link: Link, behaviour: Behaviour) -> str:
    again = "trap" if behaviour.initiates else "none"
    inactivity = f"        inactivity = {behaviour.inactivity}s\n" if behaviour.inactivity else ""
    return f"""\
  {link.name} {{
    version = 2
    local_addrs = {link.tunnel.peer_address}
    remote_addrs = {link.gateway_address}
    proposals = {", ".join(behaviour.ike_proposals)}
    mobike = no
    dpd_delay = {behaviour.dpd_delay}s
    keyingtries = 0
    unique = never
    rekey_time = {behaviour.ike_lifetime * 9 // 10}s
    over_time = {behaviour.ike_lifetime // 10}s
    local {{
      auth = psk
      id = "{link.tunnel.peer_identity}"
    }}
    remote {{
      auth = psk
      id = "{link.tunnel.local_identity}"
    }}
    children {{
      {link.name} {{
        esp_proposals = {", ".join(behaviour.esp_proposals)}
        local_ts = 0.0.0.0/0
        remote_ts = 0.0.0.0/0
        if_id_in = {link.interface_id}
        if_id_out = {link.interface_id}
        rekey_time = {behaviour.esp_lifetime * 9 // 10}s
        life_time = {behaviour.esp_lifetime}s
        replay_window = {behaviour.replay_window}
{inactivity}\
        start_action = {"trap|start" if behaviour.initiates else "none"}
        close_action = {again}
        dpd_action = {"trap" if behaviour.initiates else "clear"}
      }}
    }}
  }}
"""


def secrets(links: Iterable[Link], keys: Mapping[Tunnel, str]) -> str:
    """secrets.conf with the key of each tunnel, in base64 so that it may hold any character."""
    lines = ["secrets {"]
    for link in links:
        lines += [
            f"  ike-{link.name} {{",
            f'    id-local = "{link.tunnel.peer_identity}"',
            f'    id-peer = "{link.tunnel.local_identity}"',
            f"    secret = 0s{base64.b64encode(keys[link.tunnel].encode()).decode()}",
            "  }",
        ]
    return "\n".join([*lines, "}", ""])
