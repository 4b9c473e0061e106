#!/usr/bin/env python3
"""What a change in a git repository touches, and places in it that are worth a look.

usage: change.py [BASE [HEAD]] [--json]

With BASE: what HEAD (default: HEAD) has since it left BASE. Without: uncommitted work, new files included.
"""

import argparse
import json
import re
import subprocess
import sys

LARGE_LINES = 400
LONG_TEXT = 160
LEADS = [
    ("conflict_mark", re.compile(r"^(<{7}|>{7}|={7})( |$)")),
    ("secret", re.compile(r"(?i)(api[_-]?key|secret|passw(or)?d|token)\w*[\"']?\s*[:=]\s*[\"'][^\"'\s]{12,}[\"']")),
    ("secret", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b")),
    ("debug_output", re.compile(r"\b(console\.(log|debug)|dbg!|debugger\b|pdb\.set_trace|breakpoint\(\)|var_dump|print_r)")),
    ("skipped_test", re.compile(r"@(unittest\.|pytest\.mark\.)?skip|#\[ignore|\b(it|test|describe)\.(skip|only)\b|\bt\.Skip\(|\bxit\(")),
    ("swallowed_error", re.compile(r"except( Exception)?:\s*(pass)?$|catch\s*(\([^)]*\))?\s*\{\s*\}|\|\|\s*true\b|\.unwrap_or_default\(\)")),
    ("note_to_self", re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")),
    ("shell_from_text", re.compile(r"shell\s*=\s*True|os\.system\(|child_process\.exec\(|\beval\(")),
]
TEST = re.compile(r"(^|/)(tests?|spec|__tests__)(/|$)|(^|/)test_[^/]*$|[._-](test|spec)s?\.[a-z]+$|_test\.go$", re.I)
TEXT = re.compile(r"\.(md|rst|txt|adoc)$|(^|/)(docs?|CHANGELOG|README|LICENSE)", re.I)


def git(*arguments):
    done = subprocess.run(
        ["git", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", *arguments], capture_output=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"change.py: git {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def diff(base, head):
    options = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "-U0", "-M", "--src-prefix=a/", "--dst-prefix=b/"]
    if base:
        return git(*options, f"{base}...{head}"), []
    has_commits = subprocess.run(["git", "rev-parse", "-q", "--verify", "HEAD"], capture_output=True, check=False)
    against = "HEAD" if has_commits.returncode == 0 else git("hash-object", "-t", "tree", "/dev/null").strip()
    new = git("ls-files", "--others", "--exclude-standard", "-z", ":/").split("\0")
    return git(*options, against), [path for path in new if path]


def parse(text):
    """Files of a diff, each with its added lines by number."""
    files, current, line, in_head = [], None, 0, False
    for row in text.split("\n"):
        if row.startswith("diff --git "):
            path = row.split(" b/", 1)[-1]
            current = {"path": path, "status": "modified", "added": 0, "removed": 0, "binary": False, "lines": [], "gone": []}
            files.append(current)
            in_head = True
        elif current is None:
            continue
        elif row.startswith("@@ "):
            in_head = False
            line = int(re.search(r"\+(\d+)", row).group(1))
        elif in_head:
            for start, status in [("new file", "added"), ("deleted file", "deleted"), ("rename to", "renamed")]:
                if row.startswith(start):
                    current["status"] = status
            if row.startswith("Binary files") or row.startswith("GIT binary patch"):
                current["binary"] = True
        elif row.startswith("+"):
            current["added"] += 1
            current["lines"].append((line, row[1:]))
            line += 1
        elif row.startswith("-"):
            current["removed"] += 1
            current["gone"].append(row[1:])
    return files


def untracked(path):
    found = {"path": path, "status": "added", "added": 0, "removed": 0, "binary": False, "lines": [], "gone": []}
    try:
        with open(path, "rb") as file:
            content = file.read(4 << 20)
    except OSError:
        return found
    if b"\0" in content[:8000]:
        found["binary"] = True
        return found
    found["lines"] = list(enumerate(content.decode(errors="replace").splitlines(), 1))
    found["added"] = len(found["lines"])
    return found


def leads(file):
    path, found = file["path"], []
    is_text = TEXT.search(path)
    if file["binary"] and file["status"] != "deleted":
        found.append({"file": path, "line": 0, "kind": "binary_file", "text": ""})
    if file["added"] > LARGE_LINES:
        found.append({"file": path, "line": 0, "kind": "large_change", "text": f"{file['added']} lines added"})
    if TEST.search(path) and file["status"] == "deleted":
        found.append({"file": path, "line": 0, "kind": "deleted_test", "text": ""})
    elif TEST.search(path):
        gone = sum(bool(re.search(r"\bassert|\bexpect\(", text)) for text in file["gone"])
        come = sum(bool(re.search(r"\bassert|\bexpect\(", text)) for _, text in file["lines"])
        if gone > come:
            found.append({"file": path, "line": 0, "kind": "weakened_test", "text": f"{gone} assertions go, {come} come"})
    for number, text in file["lines"]:
        for kind, pattern in LEADS:
            if is_text and kind not in ("conflict_mark", "secret"):
                continue
            if pattern.search(text):
                shown = "" if kind == "secret" else text.strip()[:LONG_TEXT]
                found.append({"file": path, "line": number, "kind": kind, "text": shown})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base", nargs="?")
    parser.add_argument("head", nargs="?", default="HEAD")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    text, new = diff(options.base, options.head)
    files = parse(text) + [untracked(path) for path in new]
    found = [lead for file in files for lead in leads(file)]
    is_code = [file for file in files if not TEST.search(file["path"]) and not TEXT.search(file["path"])]
    tests = [file for file in files if TEST.search(file["path"])]
    if is_code and not tests and any(file["added"] for file in is_code):
        found.append({"file": "", "line": 0, "kind": "no_tests_changed", "text": "code changes, and no test does"})
    report = {
        "files": [{key: file[key] for key in ("path", "status", "added", "removed", "binary")} for file in files],
        "added": sum(file["added"] for file in files),
        "removed": sum(file["removed"] for file in files),
        "tests_changed": len(tests),
        "leads": found,
    }
    if options.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return
    print(f"{len(files)} files, +{report['added']} -{report['removed']}, {len(tests)} of them tests\n")
    for file in files:
        kind = " binary" if file["binary"] else ""
        print(f"  {file['status']:<9} +{file['added']:<5} -{file['removed']:<5} {file['path']}{kind}")
    print(f"\n{len(found)} leads")
    for lead in found:
        place = f"{lead['file']}:{lead['line']}" if lead["line"] else lead["file"] or "(all)"
        print(f"  {lead['kind']:<16} {place}  {lead['text']}")


if __name__ == "__main__":
    main()
