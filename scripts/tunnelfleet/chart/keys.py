"""The chart's pre-shared keys: what is wrong with them, and their way into an encrypted Secret.

No function here puts a key into a note; only `keys_secret` gives them out, for `sops encrypt` to read.
"""

from __future__ import annotations

import re
import shlex

from tunnelfleet.chart.notes import NoteKind, Notes
from tunnelfleet.chart.plan import ImportOptions, Plan, make_plan
from tunnelfleet.chart.values import ChartTunnel, ChartValues, is_chart, read_values
from tunnelfleet.inventory.document import Document
from tunnelfleet.inventory.writing import Page, scalar
from tunnelfleet.profiles import PROFILES, Profile

SECRET = "ipsec-psk"
# strongSwan's settings_lexer.l: what ends or changes an unquoted value in swanctl.conf.
_ENDS_UNQUOTED = re.compile(r'[#{}"=,:\s]')
# strongSwan's load_creds.c: a key with such a beginning is decoded as hexadecimal digits or base64.
_ENCODED = re.compile(r"0[xs]")
_RENEW = "make a new key with the remote site"


def note_keys(values: ChartValues, plan: Plan, notes: Notes) -> None:
    """Notes what is wrong with the keys, never what they are."""
    first: dict[str, ChartTunnel] = {}
    for index, tunnel in enumerate(values.tunnels):
        key = tunnel.key.text
        if not key:
            message = f"tunnels[{index}]: psk is missing"
            notes.add(NoteKind.UNKNOWN, tunnel.key.location, message, f"{_RENEW} and put it into the Secret")
            continue
        if not first:
            message = "the pre-shared keys stand here in plain text, and so in Git and in Helm's release Secret"
            notes.add(NoteKind.WRONG, tunnel.key.location, message, "count them as known: make new ones")
        if key in first:
            message = f"the pre-shared key is the same as the one at {first[key].key.location}"
            notes.add(NoteKind.WRONG, tunnel.key.location, message, "give each tunnel a key of its own")
        first.setdefault(key, tunnel)
        _note_key(tunnel, PROFILES[plan.profile], notes)


def _note_key(tunnel: ChartTunnel, profile: Profile, notes: Notes) -> None:
    key = tunnel.key.text or ""
    if not profile.accepts_key(key):
        message = f"the pre-shared key does not match what {profile.name} takes: {profile.key_pattern}"
        notes.add(NoteKind.WRONG, tunnel.key.location, message, _RENEW)
    if _ENCODED.match(key):
        message = "the pre-shared key begins with 0x or 0s, so strongSwan decoded it: other bytes were used"
        notes.add(NoteKind.WRONG, tunnel.key.location, message, _RENEW)
    if _ENDS_UNQUOTED.search(key):
        message = "the pre-shared key has characters that end it in the chart's swanctl.conf: a shorter one was used"
        notes.add(NoteKind.WRONG, tunnel.key.location, message, _RENEW)


def note_next(values: ChartValues, plan: Plan, options: ImportOptions, notes: Notes) -> None:
    """Notes what is left to do, as commands to copy."""
    folder = shlex.quote(f"clusters/{plan.name}/secrets")
    message = (
        "the next commands encrypt for the recipient in .sops.yaml, and everyone can read what the examples' opens"
    )
    notes.add(NoteKind.NEXT, values.location, message, "put your own age recipient into .sops.yaml first")
    namespace = plan.namespace.value
    if any(tunnel.key.text for tunnel in values.tunnels):
        given = f" --remote-name {options.remote_name}" if options.remote_name else ""
        given += f" --namespace {options.namespace}" if options.namespace else ""
        command = (
            f"mkdir -p {folder} && tunnelfleet import-chart {shlex.quote(values.location.file)}"
            f" {shlex.quote(plan.name)}{given} --keys | {_encrypt(folder, SECRET)}"
        )
        message = "cluster.yaml holds no key; this moves the old ones into an encrypted Secret, unseen"
        notes.add(NoteKind.NEXT, values.location, message, command)
    command = (
        f"mkdir -p {folder} && printf '%s\\n' 'apiVersion: v1' 'kind: Secret'"
        f" 'metadata: {{name: ipsec-bgp, namespace: {namespace}}}'"
        f" \"stringData: {{password: '$(openssl rand -hex 24)'}}\" | {_encrypt(folder, 'ipsec-bgp')}"
    )
    message = "the chart's BGP sessions between the nodes had no password; this makes one, unseen"
    notes.add(NoteKind.NEXT, values.location, message, command)


def _encrypt(folder: str, secret: str) -> str:
    path = f"{folder}/secret-{secret}.yaml"
    return f"sops encrypt --filename-override {path} --output {path}"


def keys_secret(document: Document, name: str, options: ImportOptions) -> str | None:
    """The Secret with the chart's keys IN PLAIN TEXT, for a pipe into `sops encrypt`; None where there are none."""
    if not is_chart(document):
        return None
    values = read_values(document, Notes())
    plan = make_plan(values, name, options, Notes())
    page = Page()
    page.entry(0, "apiVersion", "v1")
    page.entry(0, "kind", "Secret")
    page.entry(0, "metadata")
    page.entry(1, "name", SECRET)
    page.entry(1, "namespace", scalar(plan.namespace.value))
    page.entry(0, "type", "Opaque")
    page.entry(0, "stringData")
    keys = [
        (str(planned.key.value), tunnel.key.text)
        for tunnel, planned in zip(values.tunnels, plan.tunnels, strict=True)
        if tunnel.key.text
    ]
    for key, value in keys:
        page.entry(1, scalar(key), scalar(value))
    return page.text if keys else None
