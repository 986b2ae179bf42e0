"""Builds the container image from Debian packages: no container engine, the same bytes each time."""
