"""The inventory: what a person writes in clusters/<name>/cluster.yaml, read, checked and typed."""
