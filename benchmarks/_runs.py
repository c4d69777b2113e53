"""The runs of few_images.py: their file, their tables and their plot.

A run is a method on one draw of the training images. A record holds the run, its scores
and its seconds. The cells of a table are the records by (method, number of images).
"""

import json

import numpy as np


class Results:
    """Scores and seconds of the finished runs, in memory and in an optional file."""

    def __init__(self, path):
        self.path, self._records = path, []
        if path is not None and path.exists():
            self._records = [json.loads(line) for line in path.open()]

    def find(self, run):
        """Return the record of a run, or None if it is not finished."""
        return next((r for r in self._records if r["run"] == run), None)

    def add(self, run, scores, seconds):
        """Keep the record of a run, and return it."""
        record = {"run": run, "scores": scores, "seconds": seconds}
        self._records.append(record)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        return record


def names_and_sizes(cells):
    """Return the methods and the numbers of images, each once."""
    return (list(dict.fromkeys(part)) for part in zip(*cells, strict=True))


def print_table(title, cells, show):
    names, sizes = names_and_sizes(cells)
    print(f"\n{title}\n\n| images | " + " | ".join(map(str, sizes)) + " |")
    print("| --- |" + " --- |" * len(sizes))
    for name in names:
        row = " | ".join(show(cells[name, size]) for size in sizes)
        print(f"| {name} | {row} |")


def show_scores(records):
    """Return the mean and the standard deviation of the draws, of every measure."""
    scores = np.array([record["scores"] for record in records])
    means = [f"{mean:.1f}" for mean in scores.mean(axis=0)]
    if len(scores) == 1:
        return " / ".join(means)
    spread = [f"{sd:.1f}" for sd in scores.std(axis=0, ddof=1)]
    return " / ".join(f"{m} ± {sd}" for m, sd in zip(means, spread, strict=True))


def show_seconds(records):
    return f"{np.mean([record['seconds'] for record in records]):.0f}"


def plot(cells, rivals, path):
    """Draw the means of the draws, with bands of their standard deviations."""
    import matplotlib.pyplot as plt

    names, sizes = names_and_sizes(cells)
    own = [name for name in names if name not in rivals]
    shades = plt.colormaps["viridis"](np.linspace(0.05, 0.85, len(own)))
    contrasts = ("#555555", "#D55E00", "#CC79A7", "#E69F00")
    styles = {n: {"color": c, "marker": "o"} for n, c in zip(own, shades, strict=True)}
    for i, name in enumerate(rivals):
        color = contrasts[i % len(contrasts)]
        styles[name] = {"color": color, "marker": "s", "linestyle": "--"}
    figure, axes = plt.subplots(
        1, 3, figsize=(13, 5.2), sharex=True, layout="constrained"
    )
    titles = ("Pixel accuracy (%)", "Class accuracy (%)", "Mean IoU (%)")
    for k, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        for name in names:
            scores = [[r["scores"][k] for r in cells[name, size]] for size in sizes]
            mean = np.array([np.mean(draws) for draws in scores])
            ax.plot(sizes, mean, label=name, linewidth=1.8, ms=4.5, **styles[name])
            sd = [np.std(d, ddof=1) if len(d) > 1 else np.nan for d in scores]
            band = {"color": styles[name]["color"], "alpha": 0.1, "linewidth": 0}
            ax.fill_between(sizes, mean - sd, mean + sd, **band)
        ax.set_xscale("log")
        ax.set_xticks(sizes, map(str, sizes))
        ax.minorticks_off()
        ax.set_title(title, loc="left", fontsize=11)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#E6E6E6")
        ax.set_axisbelow(True)
    axes[1].set_xlabel("annotated images")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9
    )
    figure.savefig(path, dpi=150)
