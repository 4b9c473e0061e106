"""Merges what the six tasks found into one page and one Markdown file."""
import json
import os
import time
from datetime import date, timedelta
from html import escape

# Rows of one table in the Markdown report; the data files have them all.
LISTED = 200
TASKS = ["inventory", "todos", "licences", "secrets", "dependencies", "churn"]
COLOURS = ["#4f6df5", "#12a594", "#e5762b", "#a15bd8", "#d6409f", "#3aa0d8", "#8d9b2f", "#b0632f", "#6c7a89"]
# The width of a chart in half a page.
WIDE = 460
STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #ffffff; --ink: #1c2330; --soft: #5c6677; --line: #e3e7ee;
  --accent: #4f6df5; --bad: #c93b3b; --good: #1f8f5f; --warn: #b26a00; --track: #edf0f5; }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --card: #1a1f28; --ink: #e6eaf2; --soft: #98a3b5;
  --line: #2a3140; --accent: #7f96ff; --bad: #ff7b72; --good: #56c991; --warn: #e3a447; --track: #262d3a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
header { margin-bottom: 28px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em; }
h2 { font-size: 18px; margin: 0 0 14px; }
h3 { font-size: 14px; margin: 18px 0 8px; color: var(--soft); font-weight: 600; }
p { margin: 0 0 10px; } .soft { color: var(--soft); }
.kicker { text-transform: uppercase; letter-spacing: .09em; font-size: 12px; font-weight: 600; color: var(--accent); margin: 0 0 6px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-bottom: 20px; }
.card, section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.card { padding: 14px 16px; } .card b { display: block; font-size: 26px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; } .card.bad b { color: var(--bad); } .card.good b { color: var(--good); }
section { padding: 20px 22px; margin-bottom: 16px; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 16px; }
.two section { margin: 0; } .two { margin-bottom: 16px; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, "DejaVu Sans", sans-serif; }
svg .s { fill: var(--soft); } svg .track { fill: var(--track); } svg .axis { stroke: var(--line); }
table + p { margin-top: 10px; } table { width: 100%; border-collapse: collapse; font-size: 13.5px; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); padding: 6px 8px 6px 0; }
td { border-bottom: 1px solid var(--line); padding: 6px 8px 6px 0; vertical-align: top; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: 12.5px ui-monospace, "DejaVu Sans Mono", monospace; }
.tag { display: inline-block; border-radius: 6px; padding: 0 7px; font-size: 12px; font-weight: 600; background: var(--track); color: var(--soft); }
.tag.high { background: var(--bad); color: #fff; } .tag.medium { background: var(--warn); color: #fff; }
details { margin-top: 10px; } summary { cursor: pointer; color: var(--accent); font-weight: 600; font-size: 13.5px; }
ul { margin: 0; padding-left: 18px; } footer { color: var(--soft); font-size: 12.5px; margin-top: 28px; }
@media print { body { background: #fff; } main { padding: 0; max-width: none; } section, .card { break-inside: avoid; border-color: #ccc; } }
"""


def size(count):
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:,.0f} {unit}" if unit == "B" or count >= 100 else f"{count:,.1f} {unit}"
        count /= 1000


def short(path, most=46):
    return path if len(path) <= most else "…" + path[1 - most:]


def clip(text, most):
    return text if len(text) <= most else text[:most - 1] + "…"


def plural(count, one, many=None):
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def bars(rows, colour=None, label_width=150):
    """Horizontal bars: (label, value, shown value)."""
    top = max((value for _, value, _ in rows), default=0) or 1
    room = WIDE - label_width - 90
    parts = [f'<svg viewBox="0 0 {WIDE} {len(rows) * 26 + 2}" role="img" aria-label="bar chart">']
    for index, (label, value, shown) in enumerate(rows):
        y = index * 26
        width = max(2.0, room * value / top) if value else 0
        fill = colour or COLOURS[index % len(COLOURS)]
        parts.append(f'<text x="0" y="{y + 17}">{escape(label)}</text>'
                     f'<rect class="track" x="{label_width}" y="{y + 6}" width="{room}" height="14" rx="4"/>'
                     f'<rect x="{label_width}" y="{y + 6}" width="{width:.1f}" height="14" rx="4" fill="{fill}"/>'
                     f'<text class="s" x="{WIDE}" y="{y + 17}" text-anchor="end">{escape(shown)}</text>')
    return "".join(parts) + "</svg>"


def ring(rows, middle):
    """A ring of shares: (label, value, shown value), with a legend."""
    total = sum(value for _, value, _ in rows) or 1
    around = 2 * 3.14159265 * 62
    height = max(200, len(rows) * 24 + 16)
    parts = [f'<svg viewBox="0 0 {WIDE} {height}" role="img" aria-label="ring chart">']
    start = 0.0
    for index, (label, value, shown) in enumerate(rows):
        part = around * value / total
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<circle cx="80" cy="{height / 2}" r="62" fill="none" stroke="{colour}" stroke-width="30" '
                     f'stroke-dasharray="{max(part - 1.5, .5):.2f} {around:.2f}" stroke-dashoffset="{-start:.2f}" '
                     f'transform="rotate(-90 80 {height / 2})"/>')
        y = (height - len(rows) * 24) / 2 + index * 24
        parts.append(f'<rect x="182" y="{y + 5:.0f}" width="12" height="12" rx="3" fill="{colour}"/>'
                     f'<text x="202" y="{y + 15:.0f}">{escape(label)}</text>'
                     f'<text class="s" x="400" y="{y + 15:.0f}" text-anchor="end">{escape(shown)}</text>'
                     f'<text class="s" x="{WIDE}" y="{y + 15:.0f}" text-anchor="end">{100 * value / total:.1f} %</text>')
        start += part
    parts.append(f'<text x="80" y="{height / 2 + 2}" text-anchor="middle" style="font-size:20px;font-weight:600">{escape(middle[0])}</text>'
                 f'<text class="s" x="80" y="{height / 2 + 20}" text-anchor="middle">{escape(middle[1])}</text>')
    return "".join(parts) + "</svg>"


def columns(rows):
    """Upright bars over time: (label, value). Many weeks are put together, so that each bar can be seen."""
    group = max(1, -(-len(rows) // 60))
    rows = [(rows[at][0], sum(value for _, value in rows[at:at + group])) for at in range(0, len(rows), group)]
    top = max((value for _, value in rows), default=0) or 1
    step = 940 / max(len(rows), 12)
    parts = ['<svg viewBox="0 0 1000 190" role="img" aria-label="commits over time">']
    for share in (0.5, 1.0):
        y = 150 - 130 * share
        parts.append(f'<line class="axis" x1="44" x2="1000" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text class="s" x="36" y="{y + 4:.1f}" text-anchor="end">{top * share:,.0f}</text>')
    parts.append('<line class="axis" x1="44" x2="1000" y1="150" y2="150"/>')
    last = -100.0
    for index, (label, value) in enumerate(rows):
        x, tall = 50 + index * step, 130 * value / top
        parts.append(f'<rect x="{x:.1f}" y="{150 - tall:.1f}" width="{max(step - 3, 1):.1f}" height="{tall:.1f}" rx="2" fill="var(--accent)">'
                     f'<title>{escape(label)}: {value:,}</title></rect>')
        if x - last >= 95 and x < 930:
            parts.append(f'<text class="s" x="{x:.1f}" y="170">{escape(label)}</text>')
            last = x
    return "".join(parts) + "</svg>"


def table(head, rows, numbers=()):
    cells = lambda row, tag: "".join(
        f'<{tag}{" class=n" if at in numbers else ""}>{cell}</{tag}>' for at, cell in enumerate(row))
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{body}</tbody></table>'.replace("class=n", 'class="n"')


def folded(rows, shown, render, what):
    """The first rows, and the rest behind a click."""
    rest = len(rows) - shown
    more = f"<details><summary>{rest:,} more {what}</summary>{render(rows[shown:])}</details>" if rest > 0 else ""
    return render(rows[:shown]) + more


def place(item):
    return f'<code>{escape(item["path"])}:{item["line"]}</code>'


def fill(rows, step):
    """Days or weeks without commits count, too."""
    if not rows:
        return []
    known = {row["from"]: row["commits"] for row in rows}
    at, end, filled = date.fromisoformat(rows[0]["from"]), date.fromisoformat(rows[-1]["from"]), []
    while at <= end:
        filled.append((at.isoformat(), known.get(at.isoformat(), 0)))
        at += timedelta(days=step)
    return filled


def language_rows(inventory):
    rows = [(row["name"], row["lines"], f"{row['lines']:,} lines") for row in inventory["languages"] if row["lines"]]
    if len(rows) > 8:
        rest = sum(value for _, value, _ in rows[7:])
        rows = rows[:7] + [("everything else", rest, f"{rest:,} lines")]
    return rows


def section(title, content):
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def about_files(it):
    languages = language_rows(it)
    shape = ring(languages, (f"{it['lines']:,}", "lines")) if languages else '<p class="soft">There is no text.</p>'
    folders = bars([(short(row["name"], 24), row["lines"], f"{row['lines']:,} lines") for row in it["folders"][:9]], "var(--accent)")
    largest = table(["File", "Lines", "Size"], [(f"<code>{escape(row['path'])}</code>", f"{row['lines']:,}", size(row["bytes"])) for row in it["largest"][:10]], (1, 2))
    return (f'<div class="two">{section("Languages", shape)}{section("Folders", folders)}</div>'
            + section("Largest files", largest))


def about_churn(it):
    if not it["history"]:
        return section("Change over time", '<p class="soft">The folder has no git history.</p>')
    cut = f" Only the newest {it['commits']:,} were read." if it["cut"] else ""
    intro = f'<p class="soft">{plural(it["commits"], "commit")} (merges left out) by {plural(it["authors_count"], "author")}, {it["first"]} to {it["last"]}.{cut}</p>'
    hot = table(["File", "Commits", "Added", "Removed"],
                [(f"<code>{escape(row['path'])}</code>" + ("" if row["exists"] else ' <span class="tag">gone</span>'),
                  f"{row['commits']:,}", f"{row['added']:,}", f"{row['removed']:,}") for row in it["files"][:12]], (1, 2, 3))
    authors = bars([(clip(row["name"], 22), row["commits"], f"{row['commits']:,}") for row in it["authors"][:8]])
    times = fill(it["days"], 1) if it["days"] else fill(it["weeks"], 7)
    return (section("Change over time", intro + (columns(times) if len(times) > 1 else ""))
            + f'<div class="two">{section("Where it changes most", hot)}{section("Who commits", authors)}</div>')


def about_todos(it):
    if not it["total"]:
        return section("Left to do", '<p>No TODO, FIXME or XXX.</p>')
    counts = " · ".join(f"{count:,} {kind}" for kind, count in it["by_kind"].items() if count)
    render = lambda rows: table(["Mark", "Where", "Line"], [(f'<span class="tag">{row["kind"]}</span>', place(row), escape(row["text"])) for row in rows])
    cut = f'<p class="soft">Only the first {len(it["items"]):,} are listed.</p>' if it["cut"] else ""
    return section("Left to do", f'<p class="soft">{counts}, in {plural(it["files"], "file")}.</p>' + folded(it["items"], 12, render, "places") + cut)


def about_secrets(it):
    if not it["total"]:
        return section("Secrets", f"<p>None found by {it['rules']} rules. A rule finds only what looks like a secret.</p>")
    render = lambda rows: table(["Severity", "Kind", "Where", "Length"],
                                [(f'<span class="tag {row["severity"]}">{row["severity"]}</span>', escape(row["rule"]), place(row), f"{row['length']}") for row in rows], (3,))
    return section("Secrets", '<p class="soft">Possible secrets; what they are is not repeated here. One that is real should be revoked, not only removed.</p>'
                   + folded(it["findings"], 12, render, "findings"))


def about_licences(it):
    parts = []
    if it["remarks"]:
        parts.append("<ul>" + "".join(f"<li>{escape(remark)}</li>" for remark in it["remarks"]) + "</ul>")
    rows = [(f"<code>{escape(row['path'])}</code>", escape(row["licence"])) for row in it["files"] + it["manifests"]]
    if rows:
        parts.append(folded(rows, 8, lambda some: table(["File", "Licence"], some), "files"))
    parts.append(f'<p class="soft">{it["sources_with_header"]:,} of {it["sources"]:,} source files have an SPDX header.</p>')
    return section("Licences", "".join(parts))


def about_dependencies(it):
    if not it["total"]:
        return section("Dependencies", '<p class="soft">No manifest that names any.</p>')
    rows = table(["Ecosystem", "Manifests", "Entries", "Distinct"], [(escape(row["name"]), f"{row['manifests']:,}", f"{row['dependencies']:,}", f"{row['distinct']:,}") for row in it["ecosystems"]], (1, 2, 3))
    listed = table(["Name", "Version", "Kind", "Manifest"],
                   [(escape(row["name"]), escape(row["version"]), escape(row["kind"]), f"<code>{escape(row['manifest'])}</code>") for row in it["items"]])
    loose = f'<p class="soft">{plural(it["any_version"], "entry takes", "entries take")} any version.</p>' if it["any_version"] else ""
    return section("Dependencies", f"{rows}{loose}<details><summary>All entries</summary>{listed}</details>")


def page(found, title, figures, day):
    secrets = "bad" if figures["secrets"] else "good"
    names = {"files": "files", "lines": "lines of text", "todos": "marks to do", "secrets": "possible secrets",
             "dependencies": "dependencies", "commits": "commits"}
    cards = "".join(f'<div class="card {secrets if key == "secrets" else ""}"><b data-figure="{key}">{value:,}</b><span>{names[key]}</span></div>'
                    for key, value in figures.items())
    body = (about_files(found["inventory"]) + about_churn(found["churn"]) + about_secrets(found["secrets"]) + about_todos(found["todos"])
            + f'<div class="two">{about_licences(found["licences"])}{about_dependencies(found["dependencies"])}</div>')
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
            f"<title>Audit: {escape(title)}</title><style>{STYLE}</style></head><body><main>"
            f'<header><p class="kicker">Repository audit</p><h1>{escape(title)}</h1>'
            f'<p class="soft">{size(found["inventory"]["bytes"])} in {figures["files"]:,} files, looked at on {day}.</p></header>'
            f'<div class="cards">{cards}</div>{body}'
            f"<footer>Each part was counted in a machine of its own and checked in another. The numbers are in baton-report/data/.</footer></main></body></html>\n")


def cell(text):
    return str(text).replace("\\", "\\\\").replace("|", "\\|").replace("`", "'")


def grid(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell(it) for it in row) + " |" for row in rows]


def markdown(found, title, figures, day):
    inventory, churn, licences = found["inventory"], found["churn"], found["licences"]
    lines = [f"# Audit: {title}", "", f"Looked at on {day}. The same with charts: `report.html`.", ""]
    lines += grid(["What", "How many"], [(key, f"{value:,}") for key, value in figures.items()])
    lines += ["", "## Languages", ""] + grid(["Language", "Files", "Lines"], [(row["name"], f"{row['files']:,}", f"{row['lines']:,}") for row in inventory["languages"][:15]])
    lines += ["", "## Largest files", ""] + grid(["File", "Lines", "Size"], [(row["path"], f"{row['lines']:,}", size(row["bytes"])) for row in inventory["largest"][:10]])
    lines += ["", "## Where it changes most", ""]
    lines += grid(["File", "Commits", "Added", "Removed"], [(row["path"], row["commits"], f"{row['added']:,}", f"{row['removed']:,}") for row in churn["files"][:12]]) if churn["history"] else ["The folder has no git history."]
    lines += ["", "## Secrets", ""]
    lines += grid(["Severity", "Kind", "Where", "Length"], [(row["severity"], row["rule"], f"{row['path']}:{row['line']}", row["length"]) for row in found["secrets"]["findings"]]) if figures["secrets"] else ["None found."]
    lines += ["", "## Left to do", ""]
    lines += grid(["Mark", "Where", "Line"], [(row["kind"], f"{row['path']}:{row['line']}", row["text"]) for row in found["todos"]["items"]]) if figures["todos"] else ["Nothing is marked."]
    lines += ["", "## Licences", ""] + [f"- {remark}" for remark in licences["remarks"]] + [""]
    lines += grid(["File", "Licence"], [(row["path"], row["licence"]) for row in licences["files"] + licences["manifests"]])
    lines += ["", "## Dependencies", ""] + grid(["Ecosystem", "Manifests", "Entries", "Distinct"], [(row["name"], row["manifests"], row["dependencies"], row["distinct"]) for row in found["dependencies"]["ecosystems"]])
    listed = found["dependencies"]["items"]
    if listed:
        lines += [""] + grid(["Dependency", "Version", "Kind", "Manifest"], [(row["name"], row["version"], row["kind"], row["manifest"]) for row in listed[:LISTED]])
    if len(listed) > LISTED:
        lines += ["", f"… and {len(listed) - LISTED:,} more in `data/dependencies.json`."]
    return "\n".join(lines) + "\n"


def main():
    with open(os.path.join(os.environ.get("BATON_EXCHANGE", "/run/baton"), "needs.json"), encoding="utf-8") as file:
        needs = json.load(file)
    found = {task: needs[task]["result"] for task in TASKS}
    title = found["inventory"]["title"] or "this folder"
    day = time.strftime("%Y-%m-%d")
    figures = {"files": found["inventory"]["files"], "lines": found["inventory"]["lines"], "todos": found["todos"]["total"],
               "secrets": found["secrets"]["total"], "dependencies": found["dependencies"]["total"], "commits": found["churn"]["commits"]}
    for name, text in (("report.html", page(found, title, figures, day)), ("report.md", markdown(found, title, figures, day))):
        with open(f"baton-report/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    summary = "\n".join([f"The report is in `baton-report/report.html` and `report.md`.", ""]
                        + [f"- {task}: {needs[task].get('summary', '').strip()}" for task in TASKS])
    if path := os.environ.get("BATON_SUMMARY"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(summary + "\n")
    if path := os.environ.get("BATON_RESULT"):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"report": "baton-report/report.html", "markdown": "baton-report/report.md", "figures": figures}, file)
    print(summary)


main()
