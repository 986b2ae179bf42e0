"""Highly available IPsec tunnels for a fleet of Kubernetes clusters: inventory in, proven manifests out."""

from __future__ import annotations

__version__ = "0.1.0"
