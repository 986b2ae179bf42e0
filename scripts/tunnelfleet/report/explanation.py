"""A policy explained on the terminal."""

from __future__ import annotations

from textwrap import fill, indent

from tunnelfleet.policies.registry import Policy


def render(policy: Policy) -> str:
    """What it asks, why, a failing and a passing example."""
    return (
        f"{policy.name} ({policy.severity.value}, looks at: {policy.scope.value})\n\n"
        f"{fill(policy.asks, 100)}\n\n"
        f"Why: {fill(policy.why, 100)}\n\n"
        f"Fails:\n\n{indent(policy.failing.strip(), '    ')}\n\n"
        f"Passes:\n\n{indent(policy.passing.strip(), '    ')}\n"
    )
