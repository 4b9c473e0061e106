"""Cleans one CSV file: $BATON_EXCHANGE/item.json names it."""
import csv
import io
import json
import os
import re
from collections import Counter
from datetime import datetime

MISSING = {"", "-", "--", "?", "n/a", "na", "nan", "null", "none", "k. a.", "k.a."}
DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d %b %Y"]
ISSUES_KEPT = 400


def read(path):
    """The rows, and what was odd about the file as a whole."""
    with open(path, "rb") as file:
        raw = file.read()
    remarks = []
    if raw.startswith(b"\xef\xbb\xbf"):
        remarks.append("byte order mark removed")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
        remarks.append("read as Latin-1, written as UTF-8")
    first = text.split("\n", 1)[0]
    separator = max(",;\t|", key=first.count)
    if separator != ",":
        remarks.append(f"separator {separator!r} became a comma")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator)), remarks


def number(text, comma):
    bare = re.sub(r"[\s\u00a0€$£%]", "", text)
    bare = bare.replace(".", "").replace(",", ".") if comma else bare.replace(",", "")
    return float(bare) if re.fullmatch(r"[+-]?\d+(\.\d+)?", bare) else None


def moment(text, slashes):
    for form in [*DATES, slashes]:
        try:
            found = datetime.strptime(text, form)
        except ValueError:
            continue
        return found.strftime("%Y-%m-%dT%H:%M:%S" if "%H" in form else "%Y-%m-%d")
    return None


def reader_for(values):
    """What a column holds, and how to read it: the type that four of five values agree with."""
    comma = sum(bool(re.search(r",\d{1,2}\D*$", it)) for it in values) > sum(bool(re.search(r"\.\d+\D*$", it)) for it in values)
    firsts = [int(found.group(1)) for it in values if (found := re.match(r"(\d{1,2})/\d{1,2}/\d{4}$", it))]
    slashes = "%d/%m/%Y" if any(first > 12 for first in firsts) else "%m/%d/%Y"
    candidates = [("date", lambda text: moment(text, slashes)), ("number", lambda text: number(text, comma))]
    for kind, read_one in candidates:
        if values and sum(read_one(it) is not None for it in values) >= 0.8 * len(values):
            return kind, read_one
    # Text: the most usual spelling of the same word stands for all.
    usual = {}
    for spelling, _ in reversed(Counter(values).most_common()):
        usual[spelling.casefold()] = spelling
    return "text", lambda text: usual[text.casefold()]


def shown(kind, value):
    return f"{value:.10g}" if kind == "number" else value


def main(path):
    rows, remarks = read(path)
    head = [name.strip() or f"column_{at + 1}" for at, name in enumerate(rows[0])]
    body = [(at + 2, [cell.strip() for cell in row] + [""] * (len(head) - len(row))) for at, row in enumerate(rows[1:])]
    filled = [(line, row[:len(head)]) for line, row in body if any(row)]
    columns, readers, issues = [], [], []
    for at, name in enumerate(head):
        kind, read_one = reader_for([row[at] for _, row in filled if row[at].lower() not in MISSING])
        columns.append({"name": name, "type": kind})
        readers.append(read_one)
    counts, seen, cleaned = Counter(), set(), []
    for line, row in filled:
        values, found = [], []
        for column, read_one, before in zip(columns, readers, row):
            if before.lower() in MISSING:
                values.append("")
                found.append((column["name"], "missing", before, ""))
                continue
            value = read_one(before)
            after = "" if value is None else shown(column["type"], value)
            values.append(after)
            plain = column["type"] == "number" and number(before, False) == value
            if value is None:
                found.append((column["name"], "unreadable", before, ""))
            elif after != before and not plain:
                found.append((column["name"], "rewritten", before, after))
        if tuple(values) in seen:
            counts["duplicate"] += 1
            issues.append({"line": line, "column": None, "kind": "duplicate", "before": ", ".join(row)[:120], "after": ""})
            continue
        seen.add(tuple(values))
        cleaned.append(values)
        for column, kind, before, after in found:
            counts[kind] += 1
            issues.append({"line": line, "column": column, "kind": kind, "before": before, "after": after})
    stem = os.path.splitext(os.path.basename(path))[0]
    os.makedirs("clean", exist_ok=True)
    with open(f"clean/{stem}.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([head, *cleaned])
    result = {"source": path, "clean": f"clean/{stem}.csv", "rows_in": len(body), "blank_rows": len(body) - len(filled),
              "duplicates": counts["duplicate"], "rows_out": len(cleaned), "columns": columns, "remarks": remarks,
              "counts": dict(sorted(counts.items())), "issues": issues[:ISSUES_KEPT]}
    with open(f"clean/{stem}.issues.json", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1, ensure_ascii=False)
    return result, f"{path}: {len(body)} rows in, {len(cleaned)} out; " + (", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) or "nothing to mend") + "."


def hand_over(result, summary):
    for variable, text in (("BATON_RESULT", json.dumps(result, ensure_ascii=False)), ("BATON_SUMMARY", summary + "\n")):
        if path := os.environ.get(variable):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    print(summary)


with open(os.path.join(os.environ.get("BATON_EXCHANGE", "/run/baton"), "item.json"), encoding="utf-8") as item:
    hand_over(*main(json.load(item)))
