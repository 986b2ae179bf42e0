#!/bin/sh
# How a route DaemonSet usually does it, as a baseline: each second a dump of the whole table, and an `ip` for each
# prefix. `polling.sh ROUNDS METRIC`.
set -eu
rounds=$1 metric=$2
while [ "$rounds" -gt 0 ]; do
  vtysh -d bgpd -c 'show bgp ipv4 unicast json' | python3 -c '
import json, sys

for prefix, paths in json.load(sys.stdin)["routes"].items():
    print(prefix, *sorted({hop["ip"] for path in paths for hop in path["nexthops"]}))
' > /run/polled
  while read -r prefix hops; do
    set --
    for hop in $hops; do
      set -- "$@" nexthop encap ip id 2 dst "$hop" via 169.254.100.5 dev cilium_vxlan onlink
    done
    ip route replace "$prefix" metric "$metric" "$@"
  done < /run/polled
  rounds=$((rounds - 1))
  [ "$rounds" -eq 0 ] || sleep 1
done
