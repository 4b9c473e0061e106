#!/usr/bin/env python3
"""What failed in a test run's output, grouped by cause. Knows pytest, unittest, cargo test, go test, jest and TAP.

usage: failures.py [LOG] [--json]      (without LOG: standard input)
"""

import argparse
import json
import re
import sys

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PLACE = re.compile(r"([\w./\\-]+\.(?:py|rs|go|js|jsx|ts|tsx|java|rb|c|cc|cpp|ex|exs)):(\d+)")


def add(found, test, reason="", place=""):
    for one in found:
        if one["test"] == test:
            one["reason"] = one["reason"] or reason
            one["place"] = one["place"] or place
            return
    found.append({"test": test, "reason": reason.strip(), "place": place})


def parse(text):
    lines = ESCAPES.sub("", text).replace("\r", "").split("\n")
    found, totals = [], []
    current = None
    for number, line in enumerate(lines):
        after = lines[number + 1 : number + 40]
        # pytest
        match = re.match(r"(FAILED|ERROR) ([\w./-]+\.py(?:::\S+)?)(?: - (.*))?$", line)
        if match:
            add(found, match[2], match[3] or "", "")
        # unittest
        match = re.match(r"(FAIL|ERROR): (\w+) \(([\w.]+)\)", line)
        if match:
            name = match[3] if match[3].endswith("." + match[2]) else f"{match[3]}.{match[2]}"
            places = re.findall(r'File "([^"]+)", line (\d+)', "\n".join(block(after, r"^={20,}|^Ran \d+")))
            reason = next((row for row in block(after, r"^={20,}|^Ran \d+") if re.match(r"\w*(Error|Exception|Failure|Interrupt)\b", row)), "")
            add(found, name, reason, ":".join(places[-1]) if places else "")
        # cargo test
        match = re.match(r"test (\S+) \.\.\. FAILED", line)
        if match:
            add(found, match[1])
        match = re.match(r"---- (\S+) stdout ----", line)
        if match:
            rows = block(after, r"^---- |^failures:$")
            place = next((PLACE.search(row) for row in rows if "panicked at" in row and PLACE.search(row)), None)
            said = [row for row in rows if row.strip() and "panicked at" not in row and not row.startswith("note:")]
            add(found, match[1], said[0] if said else "", f"{place[1]}:{place[2]}" if place else "")
        # go test
        match = re.match(r"\s*--- FAIL: (\S+)", line)
        if match:
            place = PLACE.search(after[0]) if after else None
            reason = after[0].split(": ", 1)[-1] if place else ""
            add(found, match[1], reason, f"{place[1]}:{place[2]}" if place else "")
        # jest, vitest
        match = re.match(r"\s+● (.+)$", line)
        if match and "›" in match[1] or match and not match[1].startswith("Console"):
            rows = block(after, r"^\s+● |^Tests:")
            place = next((PLACE.search(row) for row in rows if row.strip().startswith("at ") and PLACE.search(row)), None)
            reason = next((row.strip() for row in rows if row.strip()), "")
            add(found, match[1], reason, f"{place[1]}:{place[2]}" if place else "")
        # TAP
        match = re.match(r"not ok \d+\s*-?\s*(.*)$", line)
        if match and "# TODO" not in line:
            add(found, match[1] or f"line {number + 1}")
        # what does not compile
        match = re.match(r"error(\[E\d+\])?: (.+)$", line)
        if match and after and "-->" in after[0]:
            place = PLACE.search(after[0])
            add(found, f"compile: {match[2]}", match[2], f"{place[1]}:{place[2]}" if place else "")
        if re.match(r"(=+ .*(passed|failed|error).* =+$|Ran \d+ tests?|test result:|Tests:\s|FAILED \(|OK\b|(ok|FAIL)\s+\S+\s+[\d.]+s|\d+ (passed|failed))", line):
            totals.append(line.strip("= "))
    return found, totals[-6:]


def block(rows, end):
    kept = []
    for row in rows:
        if re.match(end, row):
            break
        kept.append(row)
    return kept


def cause(one):
    """The reason without what differs between tests of one cause."""
    text = one["reason"] or "(no reason in the output)"
    text = re.sub(r"0x[0-9a-f]+|'[^']*'|\"[^\"]*\"|\d+(\.\d+)?", "…", text)
    return text[:120]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("log", nargs="?")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.log:
        with open(options.log, encoding="utf-8", errors="replace") as file:
            text = file.read(64 << 20)
    else:
        text = sys.stdin.read(64 << 20)
    found, totals = parse(text)
    groups = {}
    for one in found:
        groups.setdefault(cause(one), []).append(one)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    if options.json:
        print(json.dumps({"failed": len(found), "groups": [{"cause": c, "tests": t} for c, t in ordered], "totals": totals}, indent=2, ensure_ascii=False))
        return
    print(f"{len(found)} failed, {len(ordered)} groups")
    for name, tests in ordered:
        print(f"\n{len(tests)} × {name}")
        for one in tests[:12]:
            print(f"    {one['test']}" + (f"  at {one['place']}" if one["place"] else ""))
        if len(tests) > 12:
            print(f"    … and {len(tests) - 12} more")
    for line in totals:
        print(f"\n{line}", end="")
    print()


if __name__ == "__main__":
    main()
