"""The gateway's programs in the image that they run in: real charon, real kernel, a network of their own.

XFRM interfaces need a kernel module that machines for tests rarely have; the twin tries them.
"""

from __future__ import annotations

from pathlib import Path

from tests.unit.gateway.image import container_folder, run_in_image

CHARON = """
import asyncio, json, logging
from gateway import charon, settings, vici

async def main():
    gateway = settings.read()
    process = await charon.start()
    charon.write_secrets(gateway.tunnels)
    await charon.load()
    async with vici.session() as session:
        found = {
            "keys": (await session.command("get-shared"))["keys"],
            "connections": (await session.command("get-conns"))["conns"],
            "plugins": (await session.command("stats"))["plugins"],
            "tunnels": [name for sa in await session.stream("list-sas", "list-sa") for name in sa],
        }
        try:
            await session.command("initiate", {"child": "nobody"})
        except vici.RefusedError as error:
            found["refused"] = str(error)
    await charon.stop(process)
    print(json.dumps(found | {"code": process.returncode}))

logging.disable()
asyncio.run(main())
"""

NAMESPACE = """
import json, os
from dataclasses import replace
from gateway import handover, namespace, settings

gateway = settings.read()
empty = replace(gateway, tunnels=())
within = ("nsenter", f"--net={namespace.PATH}")
sysctl = ("unshare", "--mount-proc", "sysctl", "-n")

namespace.make(None)
namespace.build(empty)
first = os.open(namespace.PATH, os.O_RDONLY)
namespace.run(("ip", "-n", "strongswan", "route", "delete", str(gateway.local[0])))
namespace.build(empty)

# a new container: the mount of the name is gone, the file is still there
namespace.run(("ip", "netns", "delete", "strongswan"))
namespace.PATH.touch()
namespace.make(first)
print(json.dumps({
    "same": handover.same(first, os.open(namespace.PATH, os.O_RDONLY)),
    "missing": list(namespace.creation(empty, namespace.links(False), namespace.links(True))),
    "routes": namespace.run(("ip", "-n", "strongswan", "-4", "route")).splitlines(),
    "inside": namespace.run((*within, *sysctl, "net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter")).split(),
    "host": namespace.run((*sysctl, "net.ipv4.conf.ss0.forwarding", "net.ipv4.conf.ss0.rp_filter")).split(),
    "rules": namespace.run((*within, "nft", "-c", "-f", "-"), namespace.ruleset(gateway)),
}))
"""


# Stands for container strongswan: makes namespaces and hands them out, while container frr runs as it is.
ROUTER = """
import asyncio, json, os, signal, subprocess, time
from dataclasses import replace
from gateway import handover, namespace, settings

empty = replace(settings.read(), tunnels=())

async def until(happens):
    async with asyncio.timeout(40):
        while not (value := happens()):
            await asyncio.sleep(0.05)
        return value

def pids(name):
    found = subprocess.run(["pgrep", "-x", name], capture_output=True, text=True).stdout.split()
    return [int(pid) for pid in found]

def in_namespace(held):
    def where(pid):
        try:
            return os.stat(f"/proc/{pid}/ns/net").st_ino
        except OSError:
            return 0
    daemons = [pids(name) for name in ("mgmtd", "zebra", "bfdd", "bgpd")]
    return all(len(one) == 1 and where(one[0]) == os.fstat(held).st_ino for one in daemons)

def configured():
    shown = subprocess.run(["vtysh", "-d", "bgpd", "-c", "show running-config"], capture_output=True, text=True)
    return "neighbor 169.254.100.1 remote-as 65020" in shown.stdout

def new_namespace():
    if namespace.PATH.exists():
        namespace.run(("ip", "netns", "delete", "strongswan"))
    namespace.make(None)
    namespace.build(empty)
    return os.open(namespace.PATH, os.O_RDONLY)

class Owner:
    def __init__(self, held):
        self.held, self.takers = held, []
        self.context = handover.listening(handover.OWNER)
        self.listener = self.context.__enter__()
        asyncio.get_running_loop().add_reader(self.listener, self._give)

    def _give(self):
        self.takers.append(handover.give(self.listener, self.held))

    def end(self):
        asyncio.get_running_loop().remove_reader(self.listener)
        self.context.__exit__(None, None, None)
        for taker in self.takers:
            taker.close()

async def main():
    found = {}
    first = new_namespace()
    owner = Owner(first)
    frr = await asyncio.create_subprocess_exec("python3", "-B", "-m", "router")
    await until(lambda: in_namespace(first) and configured())

    before = pids("zebra")
    os.kill(pids("bgpd")[0], signal.SIGKILL)
    await until(lambda: pids("zebra") not in ([], before) and in_namespace(first) and configured())
    found["started again"] = True

    before = pids("bgpd")
    owner.end()
    lent = handover.ask(handover.KEEPER)
    found["lent back"] = handover.same(lent.namespace, first)
    lent.close()
    owner = Owner(first)
    await until(lambda: owner.takers)
    found["lived on"] = pids("bgpd") == before

    owner.end()
    second = new_namespace()
    owner = Owner(second)
    await until(lambda: in_namespace(second) and configured())
    found["moved"] = pids("bgpd") != before

    frr.terminate()
    found["code"] = await frr.wait()
    found["left"] = [name for name in ("mgmtd", "zebra", "bfdd", "bgpd") if pids(name)]
    print(json.dumps(found))

asyncio.run(main())
"""


def test_charon_starts_with_its_settings_and_takes_keys_and_connections(tmp_path: Path) -> None:
    found = run_in_image(container_folder(tmp_path, "virginia-aws"), CHARON)
    names = ["aws-us-east-1-ipsec0", "aws-us-east-1-ipsec1"]
    assert sorted(found["keys"]) == [f"ike-{name}" for name in names]
    assert sorted(found["connections"]) == names
    assert {"openssl", "kernel-netlink", "socket-default", "vici"} <= set(found["plugins"])
    # started by themselves
    assert sorted(found["tunnels"]) == names
    assert "nobody" in found["refused"]
    assert found["code"] == 0


def test_the_namespace_is_made_mended_and_taken_back(tmp_path: Path) -> None:
    found = run_in_image(container_folder(tmp_path, "virginia-aws"), NAMESPACE)
    assert found["same"]
    assert found["missing"] == []
    assert "10.140.0.0/15 via 169.254.100.1 dev ss0-peer" in " ".join(found["routes"])
    assert "172.28.0.0/20 via 169.254.100.1 dev ss0-peer" in " ".join(found["routes"])
    assert found["inside"] == ["1", "0"]
    assert found["host"] == ["1", "0"]
    assert found["rules"] == ""


def test_frr_is_always_in_the_namespace_that_container_strongswan_holds(tmp_path: Path) -> None:
    assert run_in_image(container_folder(tmp_path, "virginia-aws"), ROUTER) == {
        "started again": True,
        "lent back": True,
        "lived on": True,
        "moved": True,
        "code": 0,
        "left": [],
    }
