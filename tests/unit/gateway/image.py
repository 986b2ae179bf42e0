"""Runs Python in the image, as a container of the gateway would: a root of its own, a network of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.daemons import image_root
from tests.support.fleets import REPOSITORY
from tunnelfleet.generate.gateway import gateway_files
from tunnelfleet.generate.topology import Topology
from tunnelfleet.inventory.loading import load

# The root is a mount of its own, /proc and all that containers write to is new; the folder is /opt/tunnelfleet.
_ENTER = """
root=$1 folder=$2 program=$3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
for writable in run opt etc/frr var/lib/frr; do mount -t tmpfs -o mode=0777 new "$root/$writable"; done
mkdir -p "$root/opt/tunnelfleet" "$root/run/tunnelfleet"
mkdir -m 0777 "$root/run/frr"
mount --bind "$folder" "$root/opt/tunnelfleet"
cd /opt
exec chroot "$root" env PYTHONPATH=/opt/tunnelfleet STRONGSWAN_CONF=/opt/tunnelfleet/strongswan.conf \\
  SWANCTL_DIR=/opt/tunnelfleet/config python3 -B -c "$program"
"""


def container_folder(folder: Path, cluster: str) -> Path:
    """What a gateway's containers find under /opt/tunnelfleet: programs, configuration, a key for each tunnel."""
    loaded = load(REPOSITORY, cluster).loaded
    assert loaded
    topology = Topology(loaded.cluster)
    gateway = topology.gateways[0]
    for program in ("strongswan/gateway", "frr/router"):
        shutil.copytree(REPOSITORY / "base" / program, folder / Path(program).name)
    shutil.copy(REPOSITORY / "base/strongswan/strongswan.conf", folder)
    for name in ("config", "keys", "passwords"):
        (folder / name).mkdir()
    for name, text in gateway_files(topology, gateway, "").items():
        (folder / "config" / name).write_text(text)
    for tunnel in gateway.tunnels:
        (folder / "keys" / tunnel.connection).write_text("key of the example\n")
    return folder


def run_in_image(folder: Path, program: str) -> Any:
    """What the program prints as JSON on its last line."""
    root = image_root("the gateway's programs in their image")
    alone = ["unshare", "--mount", "--propagation=private", "--net", "--pid", "--fork", "--kill-child"]
    done = subprocess.run(
        [*alone, "sh", "-ec", _ENTER, "sh", root, folder, program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
