"""Aligned text, at most `WIDTH` columns wide."""

from collections.abc import Sequence

WIDTH = 100
GAP = "  "
CUT = "…"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    """Columns under their headers; those named in `right` hold numbers. The last one is cut to the width."""
    lines = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(_line(line, headers, widths, right) for line in lines)


def cut(text: str, width: int) -> str:
    """`text`, or its beginning with a mark that something is missing."""
    return text if len(text) <= width else text[: max(0, width - len(CUT))] + CUT


def flow(parts: Sequence[str], *, first: str = "", gap: str = "   ", width: int = WIDTH) -> str:
    """Parts one after another, on as many lines as they need; further lines begin below the first part."""
    indent = " " * len(first)
    lines, current = [], first
    for part in parts:
        joined = current + part if current in {first, indent} else current + gap + part
        if len(joined) > width and current not in {first, indent}:
            lines.append(current)
            joined = indent + part
        current = joined
    return "\n".join([*lines, current])


def wrap(text: str, *, first: str, width: int = WIDTH) -> str:
    """Words on as many lines as they need, after a mark such as "! "."""
    return flow(text.split(" "), first=first, gap=" ", width=width)


def _line(cells: Sequence[str], headers: Sequence[str], widths: Sequence[int], right: Sequence[str]) -> str:
    padded = [
        cell.rjust(width) if header in right else cell.ljust(width)
        for cell, header, width in zip(cells, headers, widths, strict=True)
    ]
    return cut(GAP.join(padded).rstrip(), WIDTH)
