"""`python3 -m agent` runs the agent; `python3 -m agent --cleanup` takes everything out of the node's kernel."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from .kernel import Kernel
from .probe import ask
from .reconcile import Reconciler
from .rib import Rib
from .service import Agent
from .settings import Settings, SettingsError, load

CONFIG = Path("/opt/tunnelfleet/config/agent.json")


def main() -> int:
    """0 after a stop that was asked for, 1 after an error, 2 where the settings cannot be used."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--node", default=os.environ.get("NODE_ADDRESS", ""), help="this node's address")
    parser.add_argument("--cleanup", action="store_true", help="remove all routes; a running agent then stays idle")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stdout)
    try:
        settings = load(arguments.config, arguments.node)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return cleanup(settings) if arguments.cleanup else asyncio.run(work(settings))


async def work(settings: Settings) -> int:
    """Runs the agent."""
    kernel = Kernel(settings)
    agent = Agent(settings, kernel)
    await agent.run()
    kernel.close()
    if agent.error:
        raise agent.error
    return 0


def cleanup(settings: Settings) -> int:
    """Removes all that is the agent's: by the running agent, which would put it back otherwise, or directly."""
    try:
        answer = ask("release").strip()
    except OSError:
        kernel = Kernel(settings)
        failures = kernel.execute(list(Reconciler(Rib(settings), kernel.read().holding).clean()))
        kernel.close()
        answer = "\n".join(map(str, failures)) or "released"
    print(answer)
    return int(answer != "released")


if __name__ == "__main__":
    sys.exit(main())
