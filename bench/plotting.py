"""Draws the picture of a result."""

from pathlib import Path

from bench.benchmark import Plot


def draw(plot: Plot, path: Path) -> None:
    """Write an SVG file; the same figures give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "piebridge"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for series in plot.series:
        axes.plot([x for x, _ in series.points], [y for _, y in series.points], label=series.name, marker=".")
    axes.set_title(plot.title)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
