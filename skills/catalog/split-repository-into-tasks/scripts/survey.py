#!/usr/bin/env python3
"""What a repository is made of, as far as a plan needs it.

usage: survey.py [FOLDER] [--json]
"""

import argparse
import collections
import json
import os
import re
import subprocess

SKIP = {".git", "node_modules", "target", "venv", ".venv", "dist", "build", "__pycache__", "vendor"}
LANGUAGES = {
    ".py": "Python", ".rs": "Rust", ".js": "JavaScript", ".ts": "TypeScript", ".tsx": "TypeScript", ".go": "Go", ".java": "Java", ".kt": "Kotlin",
    ".rb": "Ruby", ".c": "C", ".h": "C", ".cc": "C++", ".cpp": "C++", ".cs": "C#", ".swift": "Swift", ".sh": "Shell", ".sql": "SQL", ".html": "HTML",
    ".css": "CSS", ".md": "Markdown", ".yaml": "YAML", ".yml": "YAML", ".toml": "TOML", ".json": "JSON",
}
BUILD = {
    "Cargo.toml": "cargo build; cargo test", "package.json": "npm test", "go.mod": "go build ./...; go test ./...", "pyproject.toml": "python3 -m pytest or unittest",
    "setup.py": "python3 -m unittest", "Makefile": "make", "CMakeLists.txt": "cmake", "pom.xml": "mvn test", "build.gradle": "gradle test", "Dockerfile": "docker build",
}
READ = re.compile(r"^(README|CONTRIBUTING|ARCHITECTURE|CHANGELOG|TODO|ROADMAP|AGENTS|CLAUDE)[\w.-]*$", re.I)
NOTE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b[:( ]?(.*)")
TEST = re.compile(r"(^|/)(tests?|spec|__tests__)/|(^|/)test_[^/]*$|[._-](test|spec)s?\.[a-z]+$|_test\.go$")


def tracked(root):
    """Files that git knows, else all but the usual litter."""
    done = subprocess.run(["git", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if done.returncode == 0 and done.stdout:
        return [path for path in done.stdout.decode(errors="replace").split("\0") if path and os.path.isfile(os.path.join(root, path))]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIP and not name.startswith("."))
        found += [os.path.relpath(os.path.join(folder, name), root) for name in sorted(names)]
    return found


def together(root):
    """Pairs of folders that change in the same commits."""
    form = ["git", "-c", "core.quotePath=false", "log", "-n", "500", "--no-merges", "--name-only", "--format=%x1e"]
    done = subprocess.run(form, cwd=root, capture_output=True, check=False)
    pairs, alone = collections.Counter(), collections.Counter()
    for commit in done.stdout.decode(errors="replace").split("\x1e") if done.returncode == 0 else []:
        parts = sorted({part_of(path) for path in commit.split("\n") if path})
        if 1 <= len(parts) <= 8:
            alone.update(parts)
            pairs.update((a, b) for at, a in enumerate(parts) for b in parts[at + 1 :])
    return [
        {"parts": [a, b], "commits": count, "share": round(count / min(alone[a], alone[b]), 2)}
        for (a, b), count in pairs.most_common(10)
        if count >= 2
    ]


def part_of(path):
    pieces = path.split("/")
    return "." if len(pieces) == 1 else "/".join(pieces[: 2 if len(pieces) > 2 else 1])


def survey(root):
    files = tracked(root)
    languages, parts, notes, builds, reads = collections.Counter(), {}, [], [], []
    tests = 0
    for path in files:
        name, ending = os.path.basename(path), os.path.splitext(path)[1].lower()
        part = parts.setdefault(part_of(path), {"files": 0, "lines": 0, "tests": 0})
        part["files"] += 1
        is_test = bool(TEST.search(path))
        part["tests"] += is_test
        tests += is_test
        if name in BUILD:
            builds.append({"file": path, "usual": BUILD[name]})
        if READ.match(name) and path.count("/") <= 1:
            reads.append(path)
        if ending not in LANGUAGES or os.path.getsize(os.path.join(root, path)) > 2 << 20:
            continue
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            text = file.read()
        lines = text.count("\n")
        languages[LANGUAGES[ending]] += lines
        part["lines"] += lines
        if ending not in (".json", ".yaml", ".yml"):
            for number, line in enumerate(text.split("\n"), 1):
                match = NOTE.search(line)
                if match and len(notes) < 200:
                    notes.append({"file": path, "line": number, "text": f"{match[1]} {match[2].strip()}"[:120].strip()})
    ordered = sorted(parts.items(), key=lambda part: -part[1]["lines"])
    return {
        "files": len(files), "tests": tests, "languages": dict(languages.most_common(10)), "parts": [{"path": path, **part} for path, part in ordered[:40]],
        "builds": builds[:20], "read_first": sorted(reads), "notes": notes, "change_together": together(root),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", default=".")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = survey(options.folder)
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    print(f"{found['files']} files, {found['tests']} of them tests")
    print("languages: " + ", ".join(f"{name} {lines}" for name, lines in found["languages"].items()) + " (lines)")
    print("read first: " + ", ".join(found["read_first"]))
    for one in found["builds"]:
        print(f"build: {one['file']} ({one['usual']})")
    print("\nparts")
    for one in found["parts"]:
        print(f"  {one['lines']:>7} lines {one['files']:>5} files {one['tests']:>4} tests  {one['path']}")
    for one in found["change_together"]:
        print(f"change together: {' and '.join(one['parts'])} ({one['commits']} commits, {one['share']:.0%} of the rarer)")
    print(f"\n{len(found['notes'])} open notes")
    for one in found["notes"][:30]:
        print(f"  {one['file']}:{one['line']}: {one['text']}")


if __name__ == "__main__":
    main()
