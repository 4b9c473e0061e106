#!/usr/bin/env python3
"""Kinds of lines in log files: how often, since when, what is new, bursts and gaps.

usage: triage.py FILE... [--baseline FILE]... [--around TEXT [--lines N]] [--top N] [--json]
"""

import argparse
import collections
import gzip
import json
import re
import sys

KINDS = 50_000
LINE = 4096
STAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)|(\w{3} [ \d]\d) (\d{2}:\d{2}:\d{2})|(\d{2}/\w{3}/\d{4}):(\d{2}:\d{2}:\d{2})"
)
LEVELS = [
    ("fatal", re.compile(r"\b(FATAL|CRITICAL|EMERG|PANIC|panicked|Segmentation fault|Out of memory)\b|\boom-kill", re.I)),
    ("error", re.compile(r"\b(ERROR|ERR|SEVERE|Exception|Traceback|failed|failure)\b|\b[A-Z]\w+(Error|Exception)\b|\" 5\d\d ", re.I)),
    ("warning", re.compile(r"\b(WARN|WARNING)\b|\btimed? ?out\b|\bretry", re.I)),
]
PLAIN = re.compile(r"\b(INFO|DEBUG|TRACE|NOTICE)\b")
GOES_ON = re.compile(r"^(\s+\S|Caused by:|\.\.\. \d+ more|Traceback |\w+(\.\w+)*(Error|Exception)\b)")
MASKS = [
    (STAMP, "<time>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b"), "<mail>"),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b"), "<address>"),
    (re.compile(r"\"[^\"]*\"|'[^']*'"), "<text>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}\b", re.I), "<hex>"),
    (re.compile(r"(?<![\w<])/[\w.@%+/-]+"), "<path>"),
    (re.compile(r"[+-]?\d+([.,:]\d+)*"), "<n>"),
]


def lines_of(path):
    if path == "-":
        for number, line in enumerate(sys.stdin.buffer, 1):
            yield number, line[:LINE].decode(errors="replace").rstrip("\n")
        return
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        for number, line in enumerate(file, 1):
            yield number, line[:LINE].decode(errors="replace").rstrip("\n")


def records(path):
    """Lines with those that belong to them."""
    current = None
    for number, line in lines_of(path):
        if current and (GOES_ON.match(line) or not line.strip()) and not STAMP.search(line[:40]):
            current[2].append(line)
            continue
        if current:
            yield current
        current = (number, line, [])
    if current:
        yield current


def level_of(text, more):
    if PLAIN.search(text):
        return "info"
    whole = text + "\n" + "\n".join(more[:50])
    return next((name for name, pattern in LEVELS if pattern.search(whole)), "info")


def kind_of(text, more):
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    last = next((line for line in reversed(more) if re.match(r"\w+(\.\w+)*(Error|Exception)\b", line)), "")
    if last:
        text += " … " + last.split(":")[0]
    return text[:200].strip()


def stamp(text):
    match = STAMP.search(text[:200])
    if not match:
        return ""
    day, time = [part for part in match.groups() if part][:2]
    return f"{day} {time}"


def minute(at):
    return at.rsplit(":", 1)[0] if at.count(":") == 2 else at


def look(paths):
    kinds, minutes, order = {}, collections.Counter(), []
    total = 0
    for path in paths:
        for number, text, more in records(path):
            total += 1
            level, kind, at = level_of(text, more), kind_of(text, more), stamp(text)
            if at:
                if not order or order[-1][0] != minute(at):
                    order.append((minute(at), f"{path}:{number}"))
                if level in ("error", "fatal"):
                    minutes[minute(at)] += 1
            one = kinds.get(kind)
            if one is None:
                if len(kinds) >= KINDS:
                    kind, one = "<other>", kinds.get("<other>")
                if one is None:
                    one = kinds[kind] = {"kind": kind, "level": level, "count": 0, "first": at, "last": at, "place": f"{path}:{number}", "example": text[:300]}
            one["count"] += 1
            one["last"] = at or one["last"]
    return total, kinds, minutes, order


def bursts(minutes):
    if len(minutes) < 3:
        return []
    counts = sorted(minutes.values())
    usual = max(1, counts[len(counts) // 2])
    return [{"minute": at, "errors": count, "usual": usual} for at, count in sorted(minutes.items()) if count >= 10 and count >= 5 * usual]


def seconds(at):
    """Minutes since some day, for ISO times only."""
    match = re.match(r"(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2})", at)
    if not match:
        return None
    import datetime

    return datetime.datetime(*map(int, match.groups())).timestamp() / 60


def gaps(order):
    times = [(seconds(at), at, place) for at, place in order]
    times = [one for one in times if one[0] is not None]
    steps = sorted(b[0] - a[0] for a, b in zip(times, times[1:]) if b[0] > a[0])
    usual = steps[len(steps) // 2] if steps else 0
    return [
        {"from": a[1], "to": b[1], "minutes": round(b[0] - a[0]), "place": b[2]}
        for a, b in zip(times, times[1:])
        if usual and b[0] - a[0] >= max(5, 10 * usual)
    ][:10]


def around(paths, text, count):
    for path in paths:
        kept, left = collections.deque(maxlen=count), 0
        for number, line in lines_of(path):
            if text in line and left == 0:
                print(f"--- {path}")
                for earlier in kept:
                    print(*earlier)
                left = count + 1
            if left:
                print(f"{number}:", line)
                left -= 1
            kept.append((f"{number}:", line))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--baseline", action="append", default=[])
    parser.add_argument("--around")
    parser.add_argument("--lines", type=int, default=10)
    parser.add_argument("--top", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")
    try:
        if options.around:
            around(options.files, options.around, options.lines)
            return 0
        total, kinds, minutes, order = look(options.files)
        known = look(options.baseline)[1] if options.baseline else None
    except (OSError, EOFError) as error:
        print(f"triage.py: {error}", file=sys.stderr)
        return 1
    rank = {"fatal": 0, "error": 1, "warning": 2, "info": 3}
    ordered = sorted(kinds.values(), key=lambda one: (rank[one["level"]], -one["count"]))
    if known is not None:
        for one in ordered:
            before = known.get(one["kind"], {}).get("count", 0)
            one["before"] = before
            one["new"] = before == 0 or one["count"] > 10 * before
        ordered = [one for one in ordered if one["new"]]
    levels = collections.Counter()
    for one in kinds.values():
        levels[one["level"]] += one["count"]
    timed = [one for one in ordered if one["first"] and one["level"] in ("error", "fatal")]
    first = min(timed, key=lambda one: one["first"], default=None)
    report = {"records": total, "levels": dict(levels), "kinds": ordered[: options.top], "kinds_in_all": len(ordered), "first_error": first, "bursts": bursts(minutes), "gaps": gaps(order)}
    if options.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return 0
    print(f"{total} records: " + ", ".join(f"{count} {level}" for level, count in levels.most_common()))
    print(f"\n{'new kinds' if known is not None else 'kinds'}, {min(len(ordered), options.top)} of {len(ordered)}")
    for one in report["kinds"]:
        print(f"\n  {one['count']:>6} × {one['level']:<7} {one['kind']}\n           {one['place']}  {one['first']} … {one['last']}")
    if first:
        print(f"\nfirst error: {first['first']}  {first['place']}  {first['example'][:120]}")
    for one in report["bursts"]:
        print(f"burst: {one['minute']}  {one['errors']} errors, usually {one['usual']}")
    for one in report["gaps"]:
        print(f"gap: {one['minutes']} minutes, {one['from']} … {one['to']}  {one['place']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
