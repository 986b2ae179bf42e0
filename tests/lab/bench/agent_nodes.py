"""Three nodes with the rendered configuration, the real FRR and the real agent; tunnels are scripted BGP speakers.

Neither IPsec nor Cilium is needed for what is measured here, so that it runs on kernels without ESP too.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..twin.namespace import Namespace
from ..twin.shell import run
from ..twin.stage import Stage
from ..twin.waiting import until
from .agent_peer import Peer
from .agent_watch import Watch

_TUNNELS = "169.254.100.2"
# A scripted speaker has no BFD: without it, its session ends when its socket does.
_NO_BFD = f" neighbor {_TUNNELS} bfd profile NODE\n"
_FOLDERS = ("opt/tunnelfleet", "etc/frr", "run", "var/lib/frr")
_ENTER = """
set -eu
image=$1 folder=$2
shift 2
for name in opt etc/frr run var/lib/frr; do mount --bind "$folder/$name" "$image/$name"; done
mount -t proc proc "$image/proc"
mount --rbind /dev "$image/dev"
exec chroot "$image" "$@"
"""


@dataclass(frozen=True, slots=True)
class Files:
    """What one kind of node runs: the ConfigMaps of its DaemonSet."""

    config: Mapping[str, str]
    start: Mapping[str, str]
    agent: Mapping[str, str]

    @property
    def settings(self) -> dict[str, Any]:
        """agent.json."""
        loaded: dict[str, Any] = json.loads(self.config["agent.json"])
        return loaded


def files(stage: Stage) -> dict[str, Files]:
    """By the gateway's name; the client form by the empty one."""
    maps = [found["data"] for found in stage.objects if found["kind"] == "ConfigMap"]
    start = next(data for data in maps if "leave" in data)
    agent = next(data for data in maps if "reconcile.py" in data)
    found = (Files(data, start, agent) for data in maps if "agent.json" in data)
    return {one.settings.get("gateway", {}).get("name", ""): one for one in found}


class Node:
    """A node: its network, FRR and agent."""

    def __init__(self, name: str, address: str, files: Files, image: Path, folder: Path) -> None:
        self.name, self.address, self.image = name, address, image
        self.settings = files.settings
        self.namespace = Namespace.create(name)
        self._folder = folder / name
        self._processes: list[subprocess.Popen[bytes]] = []
        for path in _FOLDERS:
            (self._folder / path).mkdir(parents=True)
        for path in ("run/frr", "run/tunnelfleet", "etc/frr", "var/lib/frr"):
            (self._folder / path).mkdir(exist_ok=True)
            (self._folder / path).chmod(0o777)
        product = self._folder / "opt/tunnelfleet"
        config = dict(files.config) | {"frr.conf": files.config["frr.conf"].replace(_NO_BFD, "")}
        contents = {"config": config, "routes": files.start, "agent": files.agent}
        for part, texts in (*contents.items(), ("password", {"password": "bench-password"})):
            (product / part).mkdir()
            for file, text in texts.items():
                (product / part / file).write_text(text)
                (product / part / file).chmod(0o755)

    def network(self, bridge: Namespace) -> None:
        """Plugs the node in, and makes the interfaces that Cilium and the gateway's pod would."""
        bridge.ip("link", "add", self.name, "type", "veth", "peer", "name", "ens3", "netns", self.namespace.name)
        bridge.ip("link", "set", self.name, "master", "bridge", "up")
        self.namespace.ip("address", "add", f"{self.address}/20", "dev", "ens3")
        self.namespace.ip("link", "set", "ens3", "up")
        self.namespace.ip("link", "add", "cilium_vxlan", "type", "vxlan", "external", "dstport", "8472")
        self.namespace.ip("link", "set", "cilium_vxlan", "up")

    def start(self, *argv: str) -> int:
        """Starts a program of the image on the node; its process number."""
        log = (self._folder / f"{Path(argv[-1]).name}.log").open("ab")
        enter = ("unshare", "-m", "sh", "-c", _ENTER, "enter", str(self.image), str(self._folder), *argv)
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NODE_ADDRESS": self.address,
            "PYTHONPATH": "/opt/tunnelfleet",
            "PYTHONUNBUFFERED": "1",
        }
        process = subprocess.Popen(
            ("ip", "netns", "exec", self.namespace.name, *enter),
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        log.close()
        self._processes.append(process)
        return process.pid

    def start_frr(self) -> int:
        """FRR as its container starts it."""
        return self.start("/opt/tunnelfleet/routes/start")

    def start_agent(self) -> int:
        """The agent as its container starts it."""
        return self.start("python3", "-B", "-m", "agent")

    def ask(self, question: str) -> str:
        """What the agent's state socket answers."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(20)
            asked.connect(str(self._folder / "run/tunnelfleet/agent.sock"))
            asked.sendall(question.encode() + b"\n")
            answer = b""
            while data := asked.recv(1 << 16):
                answer += data
        return answer.decode()

    def routes(self) -> int:
        """How many remote routes the agent has; -1 where it does not answer."""
        try:
            return int(json.loads(self.ask("state"))["remoteRoutes"])
        except OSError:
            return -1

    def log(self) -> str:
        """What its programs said last."""
        return "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(self._folder.glob("*.log")))

    def polling(self, script: Path, metric: int) -> tuple[float, float]:
        """One round of the polling loop: seconds, and seconds of CPU with all that it starts."""
        (self._folder / "opt/tunnelfleet/routes/polling").write_bytes(script.read_bytes())
        (self._folder / "opt/tunnelfleet/routes/polling").chmod(0o755)
        before, start = os.times(), time.monotonic()
        pid = self.start("/bin/sh", "/opt/tunnelfleet/routes/polling", "1", str(metric))
        process = next(one for one in self._processes if one.pid == pid)
        process.wait(300)
        seconds, after = time.monotonic() - start, os.times()
        if process.returncode != 0:
            raise AssertionError(f"polling ended with {process.returncode}\n{self.log()}")
        self.namespace.ip("route", "flush", "metric", str(metric))
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return seconds, used

    def end(self, pid: int) -> None:
        """Kills a program that was started, and what it started."""
        for process in self._processes:
            if process.pid == pid and process.poll() is None:
                os.killpg(pid, signal.SIGKILL)
                process.wait()

    def delete(self) -> None:
        """Ends everything on the node."""
        for process in self._processes:
            self.end(process.pid)
        self.namespace.delete()


class Bench(ExitStack):
    """A node `bench-node` and two gateways `bench-a`, `bench-b` on one switch."""

    def __init__(self, stage: Stage, image: Path) -> None:
        super().__init__()
        self.stage, self.image = stage, image
        self._folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.bridge = Namespace.create("bench-bridge")
        self.callback(self.bridge.delete)
        self.bridge.ip("link", "add", "bridge", "type", "bridge")
        self.bridge.ip("link", "set", "bridge", "up")
        kinds = files(stage)
        a, b = stage.cluster.gateways[:2]
        host = f"{a.internal_ip.rpartition('.')[0]}.201"
        self.node = self._add("bench-node", host, kinds[""])
        self.gateways = [self._add(f"bench-{one.name}", one.internal_ip, kinds[one.name]) for one in (a, b)]
        self.peers = [self._tunnels(gateway) for gateway in self.gateways]
        self.agent = 0
        self.protocol = int(self.node.settings["kernel"]["protocol"])
        opened = self.node.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW)
        self.callback(opened.close)
        self.watch = Watch(opened, self.protocol)

    def up(self) -> None:
        """Starts everything and waits until the sessions stand."""
        for gateway in self.gateways:
            gateway.start_frr()
            gateway.start_agent()
        self.node.start_frr()
        self.agent = self.node.start_agent()
        for peer in self.peers:
            until("the tunnels' session", peer.established.is_set)
        until("both gateways in use", self._sessions, lambda found: found == 2)

    def announce(self, prefixes: Sequence[str]) -> None:
        """Both sites' ends announce."""
        for peer in self.peers:
            peer.announce(prefixes)

    def withdraw(self, prefixes: Sequence[str]) -> None:
        """Both take back."""
        for peer in self.peers:
            peer.withdraw(prefixes)

    def wait_for(self, routes: int) -> None:
        """Until the node's agent has so many routes in the kernel."""
        until(f"{routes} routes", self.node.routes, lambda found: found == routes, 120)

    def _sessions(self) -> int:
        try:
            state = json.loads(self.node.ask("state"))
        except OSError:
            return 0
        return sum(peer["phase"] == "up" and peer["confirmed"] for peer in state["peers"])

    def _add(self, name: str, address: str, kind: Files) -> Node:
        node = Node(name, address, kind, self.image, self._folder)
        self.callback(node.delete)
        node.network(self.bridge)
        return node

    def _tunnels(self, gateway: Node) -> Peer:
        inside = Namespace.create(f"{gateway.name}-in")
        self.callback(inside.delete)
        gateway.namespace.ip("link", "add", "ss0", "type", "veth", "peer", "name", "ss0", "netns", inside.name)
        gateway.namespace.ip("address", "add", "169.254.100.1/30", "dev", "ss0")
        gateway.namespace.ip("link", "set", "ss0", "up")
        inside.ip("address", "add", f"{_TUNNELS}/30", "dev", "ss0")
        inside.ip("link", "set", "ss0", "up")
        listener = inside.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_TUNNELS, 179))
        listener.listen()
        peer = Peer(listener, self.stage.cluster.local_asn, _TUNNELS)
        self.callback(peer.close)
        return peer


def main_process(pid: int, name: str) -> int:
    """The process of this name that a started program is, or started."""
    pids = run(("pgrep", "-g", str(pid), "-x", name)).split()
    return int(pids[0])
