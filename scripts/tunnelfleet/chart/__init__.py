"""`tunnelfleet import-chart`: from the Helm chart's values to a cluster.yaml, and what is to be said about it."""

from __future__ import annotations

from tunnelfleet.chart.importing import Imported, import_chart
from tunnelfleet.chart.keys import keys_secret
from tunnelfleet.chart.notes import Note, NoteKind
from tunnelfleet.chart.plan import ImportOptions, import_options
from tunnelfleet.chart.values import open_values

__all__ = [
    "ImportOptions",
    "Imported",
    "Note",
    "NoteKind",
    "import_chart",
    "import_options",
    "keys_secret",
    "open_values",
]
