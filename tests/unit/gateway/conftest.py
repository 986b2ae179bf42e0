"""Finds the gateway's programs where they lie, among the manifests that mount them."""

from __future__ import annotations

import sys
from pathlib import Path

BASE = Path(__file__).parents[3] / "base"
for folder in (BASE / "strongswan", BASE / "frr"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
