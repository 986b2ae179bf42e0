"""Highly available IPsec tunnels for a fleet of Kubernetes clusters: from inventory to gated overlays."""
