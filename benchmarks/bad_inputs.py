"""Bad inputs and faults: what is tried, what happens, and whether it is as promised.

    python benchmarks/bad_inputs.py            # all of them, in some minutes
    python benchmarks/bad_inputs.py 5 20 39    # those of these numbers
    python benchmarks/bad_inputs.py --table    # the tables of the documentation

Nothing is downloaded. The exit status is 1 if a promise is not kept.
"""

import argparse
import sys

import _bad_files
import _bad_images
import _bad_masks
import _bad_processes
from _trials import trials_of

SECTIONS = {
    "Images": _bad_images,
    "Masks and parameters": _bad_masks,
    "Files": _bad_files,
    "Faults and processes": _bad_processes,
}
TRIALS = trials_of(*SECTIONS.values())


def tables():
    """Return the tables of the documentation, in Markdown."""
    lines = []
    for title, module in SECTIONS.items():
        lines += [
            f"## {title}",
            "",
            "| Input or fault | What happens |",
            "| --- | --- |",
        ]
        lines += [f"| {t.title} | {t.promise} |" for t in trials_of(module)] + [""]
    return "\n".join(lines).rstrip("\n") + "\n"


def main(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", type=int, nargs="*", help="the trials; all")
    parser.add_argument("--table", action="store_true", help="print the promises only")
    options = parser.parse_args(args)
    if options.table:
        print(tables(), end="")
        return 0
    broken = 0
    chosen = [t for t in TRIALS if not options.numbers or t.number in options.numbers]
    for trial in chosen:
        kept, seen = trial.attempt()
        broken += not kept
        verdict = "as promised" if kept else "BROKEN"
        print(f"{trial.number:3} {verdict:11}  {trial.title}: {seen}", flush=True)
    print(f"{len(chosen) - broken} of {len(chosen)} as promised")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
