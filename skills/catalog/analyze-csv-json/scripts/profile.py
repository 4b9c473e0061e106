#!/usr/bin/env python3
"""What is in CSV, TSV, JSON and JSON Lines files, and what is odd about it. One pass, bounded memory.

usage: profile.py FILE... [--json] [--delimiter C]
"""

import argparse
import collections
import csv
import hashlib
import json
import math
import os
import re
import sys

DISTINCT = 10_000  # values counted per column
SAMPLE = 20_000  # numbers kept per column for quartiles
TOP = 5
MISSING = {"", "na", "n/a", "null", "none", "nan", "-", "?"}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
LOOSE = re.compile(r"[+-]?[$€£¥]?\s?\d{1,3}([., ]\d{3})*([.,]\d+)?\s?[$€£¥%]?$|[+-]?\d+,\d+$")
DATES = {
    "2026-12-31": re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$"),
    "31.12.2026": re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}$"),
    "12/31/2026": re.compile(r"\d{1,2}/\d{1,2}/\d{2,4}$"),
}


class Column:
    def __init__(self, name):
        self.name, self.rows, self.missing = name, 0, 0
        self.types, self.dates, self.values = collections.Counter(), collections.Counter(), collections.Counter()
        self.overflow, self.blanks, self.longest = False, 0, 0
        self.low = self.high = None
        self.count, self.total, self.numbers = 0, 0.0, []

    def take(self, value):
        self.rows += 1
        if isinstance(value, (dict, list)):
            self.types["list" if isinstance(value, list) else "object"] += 1
            return
        if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
            self.missing += 1
            return
        if isinstance(value, bool):
            kind, text = "bool", str(value).lower()
        elif isinstance(value, (int, float)):
            kind, text = "number", repr(value)
            self.number(float(value))
        else:
            text = value.strip()
            self.blanks += text != value
            self.longest = max(self.longest, len(text))
            kind = self.kind(text)
        self.types[kind] += 1
        if len(self.values) < DISTINCT or text in self.values:
            self.values[text] += 1
        else:
            self.overflow = True

    def kind(self, text):
        if NUMBER.match(text):
            # An identifier with a leading zero is text.
            if len(text) > 1 and text[0] == "0" and text.isdigit():
                return "text"
            self.number(float(text))
            return "number"
        for form, pattern in DATES.items():
            if pattern.match(text):
                self.dates[form] += 1
                return "date"
        if text.lower() in ("true", "false", "yes", "no"):
            return "bool"
        return "number_as_text" if LOOSE.match(text) else "text"

    def number(self, value):
        if not math.isfinite(value):
            return
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)
        self.count += 1
        self.total += value
        if len(self.numbers) < SAMPLE:
            self.numbers.append(value)
        elif hash((self.count, value)) % self.count < SAMPLE:
            self.numbers[self.count % SAMPLE] = value

    def report(self, rows):
        types = dict(self.types.most_common())
        kind = next(iter(types), "empty")
        distinct = len(self.values)
        out = {"name": self.name, "type": kind, "types": types, "missing": self.missing + rows - self.rows, "distinct": distinct}
        odd = []
        if self.overflow:
            out["distinct_at_least"] = True
        if self.count and kind == "number":
            ordered = sorted(self.numbers)
            at = lambda part: ordered[min(len(ordered) - 1, int(part * len(ordered)))]
            out.update(min=self.low, max=self.high, mean=round(self.total / self.count, 6), sum=round(self.total, 6), median=at(0.5))
            spread = at(0.75) - at(0.25)
            wild = [n for n in ordered if spread and (n < at(0.25) - 3 * spread or n > at(0.75) + 3 * spread)]
            if wild:
                odd.append(("outliers", f"{len(wild)}, such as {wild[-1]:g}"))
        out["top"] = self.values.most_common(TOP) if distinct < rows else []
        kinds = [name for name in types if name not in ("object", "list")]
        if len(kinds) > 1:
            odd.append(("mixed_types", ", ".join(f"{count} {name}" for name, count in types.items())))
        if self.types["number_as_text"]:
            odd.append(("numbers_as_text", f"{self.types['number_as_text']}, such as {next(v for v in self.values if LOOSE.match(v) and not NUMBER.match(v))!r}"))
        if len(self.dates) > 1:
            odd.append(("date_forms", ", ".join(f"{count} like {form}" for form, count in self.dates.most_common())))
        if self.blanks:
            odd.append(("blanks_around", f"{self.blanks} values"))
        if kind == "text" and distinct <= 1000:
            folded = collections.Counter(value.lower() for value in self.values)
            doubles = [value for value, count in folded.items() if count > 1]
            if doubles:
                odd.append(("case_differs", f"{len(doubles)}, such as {doubles[0]!r}"))
        if distinct == 1 and rows > 1 and not out["missing"]:
            odd.append(("constant", next(iter(self.values))))
        if distinct == rows and rows > 1 and not self.overflow:
            odd.append(("unique", "may be the key"))
        if out["missing"]:
            odd.append(("missing", f"{out['missing']} of {rows}"))
        out["odd"] = [{"kind": kind, "detail": detail} for kind, detail in odd]
        return out


def rows_of(path, delimiter):
    """Rows as (row, problem)."""
    ending = os.path.splitext(path)[1].lower()
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        if ending in (".jsonl", ".ndjson"):
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        row = json.loads(line)
                        yield (row if isinstance(row, dict) else {"value": row}), None
                    except ValueError:
                        yield None, f"line {number} is no JSON"
        elif ending == ".json":
            data = json.load(file)
            if isinstance(data, dict):
                lists = [key for key, value in data.items() if isinstance(value, list)]
                data = data[lists[0]] if len(lists) == 1 else [data]
            for row in data if isinstance(data, list) else [data]:
                yield (row if isinstance(row, dict) else {"value": row}), None
        else:
            if not delimiter:
                head = file.read(64 << 10)
                file.seek(0)
                delimiter = "\t" if ending == ".tsv" else max(",;\t|", key=lambda c: head.split("\n")[0].count(c))
            csv.field_size_limit(16 << 20)
            reader = csv.reader(file, delimiter=delimiter)
            names = next(reader, [])
            names = [name.strip() or f"column {n}" for n, name in enumerate(names, 1)]
            for row in reader:
                if row:
                    ragged = None if len(row) == len(names) else f"line {reader.line_num} has {len(row)} values, not {len(names)}"
                    yield dict(zip(names, row)), ragged


def profile(path, delimiter):
    columns, rows, problems, broken = {}, 0, [], 0
    seen, doubles, not_utf8 = set(), 0, 0
    for row, problem in rows_of(path, delimiter):
        if problem:
            broken += 1
            if len(problems) < TOP:
                problems.append(problem)
        if row is None:
            continue
        rows += 1
        text = json.dumps(row, sort_keys=True, default=str)
        not_utf8 += any("\ud800" <= c <= "\udfff" for value in row.values() if isinstance(value, str) for c in value)
        digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest()
        doubles += digest in seen
        if len(seen) < 5_000_000:
            seen.add(digest)
        for name, value in row.items():
            columns.setdefault(name, Column(name)).take(value)
    odd = []
    if broken:
        odd.append({"kind": "ragged_rows", "detail": f"{broken}: " + "; ".join(problems)})
    if doubles:
        odd.append({"kind": "duplicate_rows", "detail": f"{doubles}"})
    if not_utf8:
        odd.append({"kind": "not_utf8", "detail": f"{not_utf8} rows"})
    return {"file": path, "rows": rows, "columns": [column.report(rows) for column in columns.values()], "odd": odd}


def show(report):
    print(f"{report['file']}: {report['rows']} rows, {len(report['columns'])} columns")
    for odd in report["odd"]:
        print(f"  ! {odd['kind']}: {odd['detail']}")
    for column in report["columns"]:
        numbers = ""
        if "mean" in column:
            numbers = f"  {column['min']:g} … {column['max']:g}, mean {column['mean']:g}, median {column['median']:g}, sum {column['sum']:g}"
        print(f"\n  {column['name']}: {column['type']}, {column['distinct']} distinct, {column['missing']} missing{numbers}")
        if column["top"]:
            print("      " + ", ".join(f"{value} ({count})" for value, count in column["top"]))
        for odd in column["odd"]:
            print(f"    ! {odd['kind']}: {odd['detail']}")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--delimiter")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")
    reports, status = [], 0
    for path in options.files:
        try:
            reports.append(profile(path, options.delimiter))
        except (OSError, ValueError, csv.Error, RecursionError) as error:
            print(f"profile.py: {path}: {error}", file=sys.stderr)
            status = 1
    if options.json:
        print(json.dumps(reports, indent=2, ensure_ascii=True))
    else:
        for report in reports:
            show(report)
    return status


if __name__ == "__main__":
    sys.exit(main())
