"""Indexes TODO, FIXME and XXX with file and line."""
import json
import os
import re
import subprocess
import sys

MARK = r"\b(TODO|FIXME|XXX)\b"
KEPT = 400


def search(pattern, *more):
    """Lines that match, as (path, line, text). Ripgrep does the reading; it skips binary files by itself."""
    command = ["rg", "--json", "--no-config", "--hidden", "--no-ignore", "--max-filesize", "2M", "--sort", "path",
               "-g", "!.git", "-g", "!/baton-report", *more, "-e", pattern, "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as rg:
        for line in rg.stdout:
            event = json.loads(line)
            if event["type"] != "match":
                continue
            data = event["data"]
            path, text = data["path"].get("text"), data["lines"].get("text")
            if path is not None and text is not None:
                yield path.removeprefix("./"), data["line_number"], text.rstrip("\r\n")
    if rg.returncode not in (0, 1):
        sys.exit(f"rg failed with exit code {rg.returncode}")


def main():
    by_kind, items, files = {"TODO": 0, "FIXME": 0, "XXX": 0}, [], set()
    for path, line, text in search(MARK):
        found = re.search(MARK, text)
        if not found:
            continue
        kind = found.group(1)
        by_kind[kind] += 1
        files.add(path)
        if len(items) < KEPT:
            start = max(0, found.start() - 20) if found.start() > 60 else 0
            items.append({"kind": kind, "path": path, "line": line, "text": text[start:].strip()[:160]})
    total = sum(by_kind.values())
    result = {"total": total, "files": len(files), "by_kind": by_kind, "items": items, "cut": total > len(items)}
    return result, f"Marks: {total:,}, in files: {len(files):,}. " + ", ".join(f"{n:,} {kind}" for kind, n in by_kind.items()) + "."


def hand_over(name, result, summary):
    os.makedirs("baton-report/data", exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    for path in (f"baton-report/data/{name}.json", os.environ.get("BATON_RESULT")):
        if path:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    if path := os.environ.get("BATON_SUMMARY"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(summary + "\n")
    print(summary)


hand_over("todos", *main())
