"""The baseline: a Helm chart's usual design for the same task, run in the same twin to measure against.

charon and FRR in a network namespace behind DNAT, hold times instead of BFD, and agents that poll. What it configures
stays as it is where that can run at all; `mended` marks what could not.
"""
