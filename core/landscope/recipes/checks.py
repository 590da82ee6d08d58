"""`python -m landscope.recipes.checks [NAME ...]` runs recipes with several seeds, and writes down what they showed.

What they showed is kept in `checked/NAME.json` beside this file, with a small picture, and told in docs/recipes.md. The
first seed's run is kept as the recipe's reference.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from landscope.recipes.catalogue import CATALOGUE, Entry, module_of
from landscope.recipes.claims import judged, overall
from landscope.recipes.excerpts import keep_reference
from landscope.recipes.pictures import keep_picture
from landscope.recipes.records import SETTINGS, Checked, keep_checks, read_checks
from landscope.recipes.references import referenced
from landscope.recipes.settings import described
from landscope.runs import open_run

__all__ = ["document", "settings_document"]

_PREAMBLE = """\
# Recipes

Each recipe is one file in `core/landscope/recipes/`, started by `landscope demo NAME` or from the page's gallery. Its
settings are options (`python -m landscope.recipes NAME --help`); `--full` takes its size for a GPU. When it has ended
it is judged by what was recorded: a claim is *reproduced*, *partly* so, or *not here*, which is a fact about this toy
on this machine as much as about the claim. Below is what became of the claims with each seed; the seconds are a
processor's, measuring included, and up to a few times as many where other programs ran beside. On its page every recipe
has a lesson, and every exhibit an explanation with its formula and paper: [the page](page.md#lessons). The first seed's
run is kept, thinned, as the recipe's reference, which other runs of it are held against: “Compare with the reference”
on their pages, or `ls.compare("runs/mine", ls.recipes.reference("digits"))`.
`python -m landscope.recipes.checks` runs all again and writes this page.
"""


def check(name: str, seeds: Sequence[int]) -> list[Checked]:
    """Runs a recipe once for each seed, and judges it.

    Raises:
        RuntimeError: if a run was stopped before its end.
    """
    module = module_of(name)
    found = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            path = module.train(module.Config(seed=seed), Path(folder))
            seconds = time.process_time() - began
            claims = tuple(judged(path, module.judge))
            if claims and seed == seeds[0]:
                keep_picture(name, open_run(path), module)
                keep_reference(name, open_run(path), _machine())
        if not claims:
            raise RuntimeError(f"{name} with seed {seed} was stopped before its end; run the check again")
        found.append(Checked(seed, round(seconds, 1), _machine(), claims))
        print(f"{name}, seed {seed}, {seconds:.0f} s: {overall(claims)}", file=sys.stderr)
        for one in claims:
            print(f"    {one.outcome}: {one.text} {one.measured}", file=sys.stderr)
    return found


def document() -> str:
    """docs/recipes.md: every recipe with its claims, and what became of them."""
    return "\n".join([_PREAMBLE, *(_section(entry, read_checks(entry.name)) for entry in CATALOGUE.values())])


def settings_document() -> str:
    """checked/settings.json: the settings of every recipe."""
    modules = {name: module_of(name) for name in CATALOGUE}
    settings = {name: described(module.Config, module.FULL) for name, module in modules.items()}
    return json.dumps(settings, indent=1, ensure_ascii=False) + "\n"


def _section(entry: Entry, checks: Sequence[Checked]) -> str:
    lines = [f"## {entry.name}", "", entry.summary, "", f"{entry.paper}. Claim: {entry.claim}", ""]
    if not checks:
        return "\n".join([*lines, "Not checked yet.", ""])
    seconds = ", ".join(f"{one.seconds:.0f}" for one in checks)
    seeds = ", ".join(str(one.seed) for one in checks)
    lines += [f"| Claim | {' | '.join(f'Seed {one.seed}' for one in checks)} |"]
    lines += ["| --- |" + " --- |" * len(checks)]
    for index, stated in enumerate(checks[0].claims):
        cells = [f"**{one.claims[index].outcome}**: {one.claims[index].measured}" for one in checks]
        lines += [f"| {stated.text} | {' | '.join(cell.replace('|', '∣') for cell in cells)} |"]
    machines = ", ".join(sorted({one.machine for one in checks}))
    kept = "" if entry.name in referenced() else " No reference was recorded yet."
    return "\n".join([*lines, "", f"Seeds {seeds} took {seconds} processor seconds on {machines}.{kept}", ""])


def _machine() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} thread(s) of an {platform.machine()} CPU"


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the named recipes, or all, and writes what was found."""
    parser = argparse.ArgumentParser(prog="python -m landscope.recipes.checks", description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="NAME", help="recipes to run; all of them unless named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--docs", type=Path, default=Path("docs/recipes.md"), help="the page to write")
    parser.add_argument("--only-docs", action="store_true", help="write the page and the settings from what is there")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.recipes) - CATALOGUE.keys()
    if unknown:
        parser.error(f"there is no recipe {', '.join(sorted(unknown))}; recipes are {', '.join(CATALOGUE)}")
    for name in [] if chosen.only_docs else chosen.recipes or CATALOGUE:
        keep_checks(name, check(name, chosen.seeds))
    chosen.docs.write_text(document())
    SETTINGS.write_text(settings_document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
