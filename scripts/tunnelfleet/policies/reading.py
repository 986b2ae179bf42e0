"""The policy that the loader implements: a file that it could not read is a finding of this one."""

from __future__ import annotations

from tunnelfleet.findings import Severity
from tunnelfleet.inventory.document import READING
from tunnelfleet.policies.registry import Policy, Scope, register

register(
    Policy(
        name=READING,
        scope=Scope.READING,
        severity=Severity.ERROR,
        asks="Every cluster.yaml is YAML with the keys that exist, each once, each with its kind of value.",
        why=(
            "A misspelt key would be a setting that silently does not count, and of two equal keys a parser"
            " keeps either one (YAML 1.2, section 3.2.1.3)."
        ),
        failing="spec:\n  nodeIterface: ens5\n",
        passing="spec:\n  nodeInterface: ens5\n",
        check=None,
    )
)
