"""Benchmarks in the twin."""
