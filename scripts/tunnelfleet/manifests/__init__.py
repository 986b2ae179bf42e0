"""Rendered Kubernetes manifests: run kustomize, parse and validate what it prints, trace it to its source."""
