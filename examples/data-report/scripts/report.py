"""Puts statistics, plots and what was mended into one page and one Markdown file."""
import json
import os
import time
from html import escape

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
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); gap: 26px 40px; margin: 18px 0 6px; }
svg { display: block; width: 100%; height: auto; }
table + p { margin-top: 10px; } table { width: 100%; border-collapse: collapse; font-size: 13.5px; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); padding: 6px 8px 6px 0; }
td { border-bottom: 1px solid var(--line); padding: 6px 8px 6px 0; vertical-align: top; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: 12.5px ui-monospace, "DejaVu Sans Mono", monospace; }
.tag { display: inline-block; border-radius: 6px; padding: 0 7px; font-size: 12px; font-weight: 600; background: var(--track); color: var(--soft); }
details { margin-top: 10px; } summary { cursor: pointer; color: var(--accent); font-weight: 600; font-size: 13.5px; }
ul { margin: 0; padding-left: 18px; } footer { color: var(--soft); font-size: 12.5px; margin-top: 28px; }
@media print { body { background: #fff; } main { padding: 0; max-width: none; } section, .card { break-inside: avoid; border-color: #ccc; } }
"""
FIGURES = {"files": "files", "rows_in": "rows read", "rows_out": "clean rows", "duplicates": "doubles removed",
           "mended": "values rewritten", "missing": "values missing"}


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def show(value):
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def html_table(head, rows, numbers_from=1):
    cells = lambda row, tag: "".join(f'<{tag}{" class=" + chr(34) + "n" + chr(34) if at >= numbers_from else ""}>{escape(cell)}</{tag}>' for at, cell in enumerate(row))
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{body}</tbody></table>'


def grid(head, rows):
    clean = lambda cell: cell.replace("\\", "\\\\").replace("|", "\\|")
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(clean(cell) for cell in row) + " |" for row in rows]


def tables(it):
    """(heading, head, rows) for the columns of each type."""
    of = lambda kind: [column for column in it["columns"] if column["type"] == kind]
    if of("number"):
        keys = ["count", "missing", "mean", "deviation", "min", "median", "max", "sum"]
        yield "Numbers", ["Column", *keys], [[column["name"], *(show(column.get(key)) for key in keys)] for column in of("number")]
    if of("date"):
        yield "Dates", ["Column", "count", "missing", "from", "to"], [[column["name"], *(show(column[key]) for key in ("count", "missing", "min", "max"))] for column in of("date")]
    if of("text"):
        top = lambda column: ", ".join(f"{word['value']} ({word['count']})" for word in column["top"][:3] if word["count"] > 1) or "each but once"
        yield "Words", ["Column", "count", "missing", "distinct", "most usual"], [[column["name"], *(show(column[key]) for key in ("count", "missing", "distinct")), top(column)] for column in of("text")]


def notes(it):
    said = [f"{it['rows_in']:,} rows read, {it['rows_out']:,} kept; doubles left out: {it['duplicates']:,}, blank rows: {it['blank_rows']:,}."]
    said += [f"{remark[0].upper()}{remark[1:]}." for remark in it["remarks"]]
    said += [f"{count:,} values {what}." for kind, what in (("rewritten", "rewritten (dates, decimals, spelling)"), ("unreadable", "could not be read and count as missing"))
             if (count := it["counts"].get(kind))]
    for column in it["columns"]:
        if column.get("outliers"):
            said.append(f"{column['name']}: far from all others and left out of the plots: {', '.join(show(value) for value in column['outliers'][:5])}{' …' if len(column['outliers']) > 5 else ''}")
    return said


def about_file(it, plots, issues):
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes(it))
    drawn = "".join(open(plot["path"], encoding="utf-8").read() for plot in plots)
    stats = "".join(f"<h3>{heading}</h3>{html_table(head, rows)}" for heading, head, rows in tables(it))
    rows = [[str(row["line"]), row["column"] or "", row["kind"], row["before"], row["after"]] for row in issues if row["kind"] != "missing"][:60]
    mended = f"<details><summary>What was mended (the first {len(rows)})</summary>{html_table(['Line', 'Column', 'Kind', 'Before', 'After'], rows, 9)}</details>" if rows else ""
    return f'<section><h2>{escape(it["source"])}</h2><ul>{listed}</ul><div class="plots">{drawn}</div>{stats}{mended}</section>'


def page(stats, figures, plots, day):
    cards = "".join(f'<div class="card"><b data-figure="{key}">{value:,}</b><span>{FIGURES[key]}</span></div>' for key, value in figures.items())
    parts = "".join(about_file(it, [plot for plot in plots if plot["source"] == it["source"]],
                               load(it["clean"].removesuffix(".csv") + ".issues.json")["issues"]) for it in stats["files"])
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/><title>Data report</title>'
            f'<style>{STYLE}</style></head><body><main><header><p class="kicker">Data report</p><h1>{figures["files"]} files, cleaned and summed up</h1>'
            f'<p class="soft">Made on {day}. The clean files are in clean/, the originals were not touched.</p></header>'
            f'<div class="cards">{cards}</div>{parts}<footer>The statistics were worked out a second time, in another machine, before this page was offered.</footer></main></body></html>\n')


def markdown(stats, figures, plots, day):
    lines = ["# Data report", "", f"Made on {day}. The same with plots: `report.html`.", ""]
    lines += grid(["What", "How many"], [[FIGURES[key], f"{value:,}"] for key, value in figures.items()])
    for it in stats["files"]:
        lines += ["", f"## {it['source']}", ""] + [f"- {note}" for note in notes(it)]
        for heading, head, rows in tables(it):
            lines += ["", f"### {heading}", ""] + grid(head, rows)
        lines += [""] + [f"![{plot['column']}]({os.path.relpath(plot['path'], 'report')})" for plot in plots if plot["source"] == it["source"]]
    return "\n".join(lines) + "\n"


def hand_over(result, summary):
    for variable, text in (("BATON_RESULT", json.dumps(result, ensure_ascii=False)), ("BATON_SUMMARY", summary + "\n")):
        if path := os.environ.get(variable):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    print(summary)


stats, plots = load("report/stats.json"), load("report/plots.json")["plots"]
figures = {"files": len(stats["files"])} | {key: stats["totals"][key] for key in list(FIGURES)[1:]}
today = time.strftime("%Y-%m-%d")
for name, text in (("report.html", page(stats, figures, plots, today)), ("report.md", markdown(stats, figures, plots, today))):
    with open(f"report/{name}", "w", encoding="utf-8") as out:
        out.write(text)
hand_over({"report": "report/report.html", "markdown": "report/report.md", "figures": figures},
          f"The report is in \x60report/report.html\x60 and \x60report.md\x60: {figures['rows_out']:,} clean rows in {figures['files']} files, {len(plots)} plots.")
