#!/usr/bin/env python3
"""The commits between two versions, grouped for release notes.

usage: collect.py [FROM [TO]] [--path PATH]... [--json]     (FROM: the newest tag before TO; TO: HEAD)
"""

import argparse
import collections
import json
import re
import subprocess
import sys

TYPED = re.compile(r"(?P<type>[a-z]+)(\((?P<scope>[^)]*)\))?(?P<bang>!)?:\s*(?P<text>.+)", re.I)
GROUPS = {
    "feat": "new", "feature": "new", "fix": "mended", "bugfix": "mended", "hotfix": "mended", "perf": "faster", "security": "security",
    "docs": "documentation", "doc": "documentation", "test": "inside", "tests": "inside", "refactor": "inside", "style": "inside",
    "chore": "inside", "ci": "inside", "build": "inside", "deps": "inside", "revert": "other",
}
WORDS = [
    ("security", re.compile(r"\b(security|vulnerab\w+|CVE-\d+)", re.I)),
    ("mended", re.compile(r"^(fix|fixes|fixed|mend|correct|repair|resolve|prevent|avoid|no longer)\b|\bbug\b", re.I)),
    ("new", re.compile(r"^(add|adds|added|introduce|support|allow|implement|new)\b", re.I)),
    ("faster", re.compile(r"\b(speed|faster|performance|optimi[sz]e)\b", re.I)),
    ("removed", re.compile(r"^(remove|removes|removed|drop|delete|deprecate)\b", re.I)),
]
ORDER = ["security", "new", "mended", "faster", "removed", "documentation", "other", "inside"]
BREAKING = re.compile(r"^BREAKING[ -]CHANGES?:\s*(.+(?:\n(?!\n|[\w-]+:).+)*)", re.M)


def git(*arguments, check=True):
    done = subprocess.run(["git", "-c", "log.showSignature=false", *arguments], capture_output=True, check=False)
    if check and done.returncode != 0:
        sys.exit(f"collect.py: git {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def commits(start, end, paths):
    spec = f"{start}..{end}" if start else end
    form = "%H%x1f%an%x1f%aI%x1f%s%x1f%b%x1e"
    text = git("log", "--no-merges", "--no-color", f"--format={form}", spec, "--", *paths)
    for record in text.split("\x1e"):
        if record.strip():
            commit, author, date, subject, body = record.strip("\n").split("\x1f")
            yield {"commit": commit, "author": author, "date": date[:10], "subject": subject, "body": body.strip()}


def group_of(one):
    match = TYPED.match(one["subject"])
    if match and match["type"].lower() in GROUPS:
        return GROUPS[match["type"].lower()], match["scope"] or "", match["text"], bool(match["bang"])
    for name, pattern in WORDS:
        if pattern.search(one["subject"]):
            return name, "", one["subject"], False
    files = [line for line in git("show", "--format=", "--name-only", one["commit"]).split("\n") if line]
    if files and all(re.search(r"\.(md|rst|adoc|txt)$|^docs?/", path) for path in files):
        return "documentation", "", one["subject"], False
    if files and all(re.search(r"(^|/)(tests?|\.github|ci)/|\.lock$|lock\.json$", path) for path in files):
        return "inside", "", one["subject"], False
    return "other", "", one["subject"], False


def without_reverts(found):
    """A commit and its revert, both in the range, are nothing to a user."""
    gone, known = set(), {one["commit"] for one in found}
    for one in found:
        match = re.search(r"This reverts commit ([0-9a-f]{7,40})", one["body"])
        target = match and next((commit for commit in known if commit.startswith(match[1])), None)
        if target and one["commit"] not in gone:
            gone |= {one["commit"], target}
    return [one for one in found if one["commit"] not in gone], len(gone)


def next_version(tag, breaking, news):
    match = re.match(r"(\D*)(\d+)\.(\d+)(?:\.(\d+))?$", tag or "")
    if not match:
        return None
    major, minor, patch = int(match[2]), int(match[3]), int(match[4] or 0)
    if breaking and major:
        major, minor, patch = major + 1, 0, 0
    elif breaking or news:
        minor, patch = minor + 1, 0
    else:
        patch += 1
    return f"{match[1]}{major}.{minor}.{patch}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("start", nargs="?")
    parser.add_argument("end", nargs="?", default="HEAD")
    parser.add_argument("--path", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")
    git("rev-parse", "--verify", "--quiet", f"{options.end}^{{commit}}")
    start = options.start
    if not start:
        newest = git("describe", "--tags", "--abbrev=0", options.end, check=False).strip()
        here = git("tag", "--points-at", options.end).split()
        if newest and newest in here:
            newest = git("describe", "--tags", "--abbrev=0", f"{options.end}^", check=False).strip()
        start = newest or None
    found, canceled = without_reverts(list(commits(start, options.end, options.path)))
    groups, breaking = collections.OrderedDict((name, []) for name in ORDER), []
    for one in found:
        group, scope, text, bang = group_of(one)
        issues = sorted(set(re.findall(r"#(\d+)\b", one["subject"] + "\n" + one["body"])), key=int)
        entry = {"commit": one["commit"][:10], "text": text, "scope": scope, "author": one["author"], "date": one["date"], "issues": issues}
        notes = [" ".join(note.split()) for note in BREAKING.findall(one["body"])]
        if bang or notes:
            breaking.append({**entry, "note": notes[0] if notes else text})
        groups[group].append(entry)
    authors = collections.Counter(one["author"] for one in found)
    report = {
        "from": start, "to": options.end, "commits": len(found), "canceled_by_reverts": canceled, "breaking": breaking,
        "groups": {name: entries for name, entries in groups.items() if entries},
        "authors": [name for name, _ in authors.most_common()],
        "next_version": next_version(start, bool(breaking), bool(groups["new"])),
    }
    if options.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return
    print(f"{start or '(the beginning)'}..{options.end}: {len(found)} commits by {len(authors)} people, {canceled} canceled by reverts")
    if report["next_version"]:
        print(f"by semantic versioning the next version is {report['next_version']}")
    if breaking:
        print("\n## breaking")
        for entry in breaking:
            print(f"- {entry['commit']} {entry['note']}")
    for name, entries in report["groups"].items():
        print(f"\n## {name} ({len(entries)})")
        for entry in entries:
            scope = f"{entry['scope']}: " if entry["scope"] else ""
            issues = "".join(f" #{issue}" for issue in entry["issues"])
            print(f"- {entry['commit']} {scope}{entry['text']}{issues if issues.strip() not in entry['text'] else ''} ({entry['author']})")


if __name__ == "__main__":
    main()
