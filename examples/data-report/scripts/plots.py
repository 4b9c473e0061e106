"""Draws every cleaned file: numbers over time, how they are spread, and the most usual words."""
import csv
import json
import os
import statistics
from html import escape

WIDE, TALL = 440, 240
FRAME = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {TALL}" role="img" aria-label="%s">'
         '<style>text{font:12px system-ui,"DejaVu Sans",sans-serif;fill:#7b8698}.t{font-size:13px;font-weight:600}.g{stroke:#8a94a640}'
         '.b{fill:#4f6df5}.c{fill:#12a594}.l{fill:none;stroke:#e5762b;stroke-width:2.2;stroke-linejoin:round}</style>'
         '<text class="t" x="0" y="14">%s</text>%s</svg>\n')


def short(value):
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (unit == "M" and abs(value) >= size):
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def scale(low, high, y0=205, y1=34):
    span = (high - low) or 1
    place = lambda value: y0 - (y0 - y1) * (value - low) / span
    lines = "".join(f'<line class="g" x1="46" x2="{WIDE}" y1="{place(mark):.1f}" y2="{place(mark):.1f}"/>'
                    f'<text x="40" y="{place(mark) + 4:.1f}" text-anchor="end">{short(mark)}</text>'
                    for mark in (low + span * part / 4 for part in range(5)))
    return place, lines


def over_time(title, points):
    """The mean of each of up to forty equal stretches of rows, in the order of time."""
    points.sort()
    group = max(1, -(-len(points) // 40))
    means = [(points[at][0], statistics.fmean(value for _, value in points[at:at + group])) for at in range(0, len(points), group)]
    values = [value for _, value in means]
    place, lines = scale(min(values), max(values))
    step = (WIDE - 60) / max(len(means) - 1, 1)
    line = " ".join(f"{52 + at * step:.1f},{place(value):.1f}" for at, value in enumerate(values))
    ends = f'<text x="52" y="228">{means[0][0][:10]}</text><text x="{WIDE}" y="228" text-anchor="end">{means[-1][0][:10]}</text>'
    return FRAME % (escape(title), escape(title), f'{lines}<polyline class="l" points="{line}"/>{ends}')


def spread(title, values, outliers):
    values = [value for value in values if value not in outliers]
    low, high = min(values), max(values)
    count = min(20, max(5, int(len(values) ** 0.5)))
    width = (high - low) / count or 1
    bins = [0] * count
    for value in values:
        bins[min(count - 1, int((value - low) / width))] += 1
    place, lines = scale(0, max(bins))
    step = (WIDE - 56) / count
    bars = "".join(f'<rect class="b" x="{50 + at * step:.1f}" y="{place(n):.1f}" width="{step - 2:.1f}" height="{205 - place(n):.1f}" rx="2"/>' for at, n in enumerate(bins))
    ends = f'<text x="50" y="228">{short(low)}</text><text x="{WIDE}" y="228" text-anchor="end">{short(high)}</text>'
    return FRAME % (escape(title), escape(title), lines + bars + ends)


def usual(title, top):
    most = max(it["count"] for it in top)
    rows = "".join(f'<text x="0" y="{48 + at * 31}">{escape(it["value"][:20])}</text>'
                   f'<rect class="c" x="110" y="{35 + at * 31}" width="{(WIDE - 200) * it["count"] / most:.1f}" height="18" rx="3"/>'
                   f'<text x="{118 + (WIDE - 200) * it["count"] / most:.1f}" y="{48 + at * 31}">{it["count"]:,}</text>' for at, it in enumerate(top))
    return FRAME % (escape(title), escape(title), rows)


def draw(it):
    with open(it["clean"], encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    date = next((at for at, column in enumerate(it["columns"]) if column["type"] == "date"), None)
    for at, column in enumerate(it["columns"]):
        name = column["name"]
        if column["type"] == "number" and column["count"] > 2:
            odd = set(column["outliers"])
            if date is not None:
                points = [(row[date], float(row[at])) for row in rows if row[date] and row[at] and float(row[at]) not in odd]
                if len(points) > 2:
                    yield name, "time", over_time(f"{name} over time", points)
            yield name, "spread", spread(f"{name}: how it is spread", [float(row[at]) for row in rows if row[at]], odd)
        elif column["type"] == "text" and 2 <= column["distinct"] <= 30:
            yield name, "usual", usual(f"{name}: the most usual", column["top"])


def hand_over(result, summary):
    for variable, text in (("BATON_RESULT", json.dumps(result, ensure_ascii=False)), ("BATON_SUMMARY", summary + "\n")):
        if path := os.environ.get(variable):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    print(summary)


with open("report/stats.json", encoding="utf-8") as stats:
    files = json.load(stats)["files"]
os.makedirs("report/plots", exist_ok=True)
plots = []
for it in files:
    stem = os.path.splitext(os.path.basename(it["clean"]))[0]
    for at, (column, kind, svg) in enumerate(draw(it)):
        path = f"report/plots/{stem}-{at:02}-{kind}.svg"
        with open(path, "w", encoding="utf-8") as out:
            out.write(svg)
        plots.append({"source": it["source"], "column": column, "kind": kind, "path": path})
with open("report/plots.json", "w", encoding="utf-8") as out:
    json.dump({"plots": plots}, out, indent=1, ensure_ascii=False)
hand_over({"plots": plots}, f"{len(plots)} plots drawn.")
