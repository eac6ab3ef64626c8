"""Colours and letters of the pictures, and a figure as a PNG file or as SVG for the page.

A figure is drawn once, in the light colours. For the page each colour becomes a CSS variable of
its name, so that the browser's light or dark scheme decides; page.css says both.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {
    "paper": "#fdfdfc",
    "ink": "#1c2430",
    "muted": "#66707f",
    "grid": "#e3e6ea",
    "accent": "#0e7c86",
    "heat": "#2bb3a8",
    "buy": "#2f6fd6",
    "sell": "#d9661f",
    "converged": "#139a6b",
    "expired": "#c99a13",
    "lost": "#cc3d55",
    "delisted": "#7d6bb0",
    "unproven": "#b0708f",
    "not_trading": "#5f7fa8",
    "halted": "#4a4f57",
    "open": "#8a94a3",
}
# letters that the first family lacks come from the next; a coin may be called 币安人生
_FAMILIES = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Unifont",
)  # fmt: skip
_PNG_DPI = 200
_NOTES = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@contextmanager
def style() -> Iterator[None]:
    """Be in the context in which figures are made and saved."""
    with warnings.catch_warnings(), rc_context(_settings()):
        # a PNG shows a box for a letter that no font here has; the page has the browser's fonts
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _settings() -> Any:
    found = {font.name for font in font_manager.fontManager.ttflist}
    c = COLOURS
    return {
        "font.family": [family for family in _FAMILIES if family in found],
        "font.size": 9,
        "text.parse_math": False,  # a coin may be called $WIF
        "text.color": c["ink"],
        "axes.edgecolor": c["grid"],
        "axes.facecolor": c["paper"],
        "axes.labelcolor": c["muted"],
        "axes.labelsize": 8.5,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "figure.facecolor": c["paper"],
        "grid.color": c["grid"],
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.4,
        "savefig.facecolor": c["paper"],
        "svg.fonttype": "none",
        "svg.hashsalt": "spreadscan",
        "xtick.color": c["grid"],
        "ytick.color": c["grid"],
        "xtick.labelcolor": c["muted"],
        "ytick.labelcolor": c["muted"],
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
    }


def figure(width: float, height: float, rows: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of so many inches and its axes."""
    found = Figure((width, height), layout="constrained")
    return found, found.subplots(rows, **options)


def hint(artist: Any, text: str) -> None:
    """Let the page show a text while the pointer is on the artist."""
    artist.set_gid(f"hint:{text}")


def bare(axes: Axes) -> None:
    """Take frame, grid and ticks away."""
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def save_png(figure: Figure, path: Path) -> None:
    """Write a picture for paper, chat or slides."""
    figure.savefig(path, format="png", dpi=_PNG_DPI)


def svg(figure: Figure, name: str) -> str:
    """Return the figure as an element for the page; name is what a screen reader says."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=_NOTES)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', _opening(name), text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="hint:([^"]*)">', r"<g><title>\1</title>", text)
    text = re.sub(r'<g id="[a-z_]+_\d+">', "<g>", text)  # the same in every figure
    text = re.sub(r"(font:[^;\"]*?px) [^;\"]*", r"\1 var(--font)", text)
    text = re.sub(r"\n\s*", "\n", text)
    for colour, value in COLOURS.items():
        text = text.replace(value, f"var(--{colour})")
    return text


def _opening(name: str) -> str:
    label = escape(name, quote=True).replace("\\", "\\\\")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="\\1" role="img" aria-label="{label}">'
    )
