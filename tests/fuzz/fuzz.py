"""Throws broken inventories at the loader and the policies for a given time or number; a traceback ends it.

Each input starts as an example of the fleet and is damaged by one or several mutations, of bytes, of lines or of
values. It is read as a file, as `check` reads it, and where it still loads it goes through every policy of one
cluster, the fleet's, and the generator in memory. What is found is not judged; that nothing is raised is.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.fleets import REPOSITORY
from tunnelfleet.findings import has_errors
from tunnelfleet.generate.overlay import generate
from tunnelfleet.inventory.loading import cluster_folders, load
from tunnelfleet.policies.registry import run_cluster, run_fleet

TOKENS = (
    "{", "}", "[", "]", ":", "- ", "&a ", "*a", "<<: ", "!!int ", "!!python/object:os.system ", "|", ">", "#", "'", '"',
    "\t", "\0", "\x1b", "\u2028", "\ufeff", "---\n", "...\n", "%YAML 1.1\n", "? ", "null", "~", "yes", "0x1F", "1e9999",
    ".inf", ".nan", "-1", "99999999999999999999", "10.0", "0.0.0.0/0", "255.255.255.255/32", "2001:db8::/32",
    "10.0.0.1/33", "169.254.169.254", "172.16.0.0/12", "a" * 300, "../../etc", "-", "\U0001f600", "12:30:45",
)  # fmt: skip
EXAMPLES = cluster_folders(REPOSITORY)
Mutation = Callable[[random.Random, str], str]


def flip_character(chance: random.Random, text: str) -> str:
    place = chance.randrange(len(text) + 1)
    return (
        text[:place] + chr(chance.choice((chance.randrange(0x20, 0x7F), chance.randrange(0x3000)))) + text[place + 1 :]
    )


def change_digit(chance: random.Random, text: str) -> str:
    places = [place for place, character in enumerate(text) if character.isdigit()]
    if not places:
        return text
    place = chance.choice(places)
    return text[:place] + chance.choice("0123456789") + text[place + 1 :]


def insert_token(chance: random.Random, text: str) -> str:
    place = chance.randrange(len(text) + 1)
    return text[:place] + chance.choice(TOKENS) + text[place:]


def replace_value(chance: random.Random, text: str) -> str:
    words = text.split(" ")
    words[chance.randrange(len(words))] = chance.choice(TOKENS)
    return " ".join(words)


def drop_line(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    del lines[chance.randrange(len(lines))]
    return "\n".join(lines)


def repeat_line(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    place = chance.randrange(len(lines))
    return "\n".join([*lines[:place], lines[place], *lines[place:]])


def swap_words(chance: random.Random, text: str) -> str:
    words = text.split(" ")
    one, other = chance.randrange(len(words)), chance.randrange(len(words))
    words[one], words[other] = words[other], words[one]
    return " ".join(words)


def indent_line(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    place = chance.randrange(len(lines))
    lines[place] = " " * chance.randrange(9) + lines[place].lstrip()
    return "\n".join(lines)


def cut(chance: random.Random, text: str) -> str:
    return text[: chance.randrange(len(text) + 1)]


def nest(chance: random.Random, text: str) -> str:
    return insert_token(chance, text) + chance.choice("[{") * chance.randrange(5000)


MUTATIONS: tuple[Mutation, ...] = (
    change_digit, flip_character, insert_token, replace_value, drop_line,
    repeat_line, swap_words, indent_line, cut, nest,
)  # fmt: skip
WEIGHTS = (90, 20, 20, 30, 10, 10, 15, 10, 2, 1)


def damaged(chance: random.Random, text: str) -> bytes:
    """One input: an example after one to four mutations, now and then with bytes that are not UTF-8."""
    for mutate in chance.choices(MUTATIONS, WEIGHTS, k=chance.randint(1, 4)):
        text = mutate(chance, text) or "x"
    content = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.02:
        place = chance.randrange(len(content) + 1)
        content = content[:place] + chance.randbytes(chance.randint(1, 9)) + content[place:]
    return content


def run_one(root: Path, folder: str, content: bytes) -> str:
    """What became of one input: refused by the loader, refused by a policy, or accepted and generated."""
    (root / "clusters" / folder / "cluster.yaml").write_bytes(content)
    reading = load(root, folder)
    if reading.loaded is None:
        if not has_errors(reading.findings):
            raise AssertionError("the loader refused the file without a finding")
        return "refused by the loader"
    findings = [*reading.findings, *run_cluster(reading.loaded), *run_fleet([reading.loaded])]
    if has_errors(findings):
        return "refused by a policy"
    generate(root, reading.loaded)
    return "accepted and generated"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until the time or the number is up; 1 where an input gave a traceback, which it prints and keeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--inputs", type=int, default=0, help="stop after this many, whatever the time")
    parser.add_argument("--seed", type=int, default=None, help="to repeat a run")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    corpus = {folder: (REPOSITORY / "clusters" / folder / "cluster.yaml").read_text() for folder in EXAMPLES}
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory(prefix="tunnelfleet-fuzz-") as folder:
        root = Path(folder)
        for name in corpus:
            (root / "clusters" / name).mkdir(parents=True)
        while time.monotonic() < end if not options.inputs else outcomes.total() < options.inputs:
            name = chance.choice(EXAMPLES)
            content = damaged(chance, corpus[name])
            try:
                outcomes[run_one(root, name, content)] += 1
            except Exception:
                traceback.print_exc()
                kept = Path(tempfile.mkstemp(prefix="tunnelfleet-crash-", suffix=".yaml")[1])
                kept.write_bytes(content)
                print(f"input {outcomes.total() + 1} of seed {seed} gave a traceback; it is kept in {kept}")
                return 1
    print(f"{outcomes.total()} inputs, no traceback: " + ", ".join(f"{n} {what}" for what, n in outcomes.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
