#!/usr/bin/env python3
"""Public items that say nothing about themselves, by file and line.

usage: undocumented.py [PATH]... [--json]      (Python, Rust, JavaScript, TypeScript, Go)
"""

import argparse
import ast
import json
import os
import re
import sys

SKIP = {".git", "node_modules", "target", "venv", ".venv", "dist", "build", "__pycache__", "vendor", "migrations"}
TEST = re.compile(r"(^|/)(tests?|spec|__tests__|testdata)/|(^|/)test_[^/]*$|[._-](test|spec)s?\.[a-z]+$|_test\.go$")
RUST = re.compile(r"^\s*pub\s+(?:(?:async|unsafe|const|extern\s+\"C\")\s+)*(fn|struct|enum|trait|type|const|static|mod|macro)\s+(\w+)")
SCRIPT = re.compile(r"^export\s+(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(function\*?|class|interface|type|enum|const|let)\s+(\w+)")
GO = re.compile(r"^(?:func\s+(?:\(\s*\w*\s*\*?(?P<owner>\w+)[^)]*\)\s*)?(?P<func>[A-Z]\w*)|(?P<kind>type|var|const)\s+(?P<name>[A-Z]\w*))")


def python(text):
    tree = ast.parse(text)
    if text.strip():
        yield "module", "", 1, ast.get_docstring(tree) is not None
    stack = [(node, "") for node in reversed(tree.body)]
    while stack:
        node, owner = stack.pop()
        if isinstance(node, (ast.If, ast.Try)):
            stack.extend((child, owner) for child in reversed(node.body))
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        # An overload, a property's setter and a method that overrides say it elsewhere.
        marks = {getattr(mark, "attr", getattr(mark, "id", "")) for mark in node.decorator_list}
        kind = "class" if isinstance(node, ast.ClassDef) else "method" if owner else "function"
        if not marks & {"overload", "override", "setter", "deleter"}:
            yield kind, f"{owner}{node.name}", node.lineno, ast.get_docstring(node) is not None
        if kind == "class":
            stack.extend((child, f"{node.name}.") for child in reversed(node.body))


def before(lines, at, attribute):
    """The last line above that is no attribute or decorator."""
    at -= 1
    while at >= 0 and attribute.match(lines[at]):
        at -= 1
    return lines[at].strip() if at >= 0 else ""


def rust(text):
    lines = text.split("\n")
    head = next((line for line in lines if line.strip()), "")
    if head:
        yield "module", "", 1, head.startswith("//!")
    depth_of_tests = None
    for at, line in enumerate(lines):
        if re.match(r"\s*#\[cfg\(test\)\]", line):
            depth_of_tests = len(line) - len(line.lstrip())
        elif depth_of_tests is not None and line.strip() == "}" and len(line) - len(line.lstrip()) == depth_of_tests:
            depth_of_tests = None
        match = RUST.match(line) if depth_of_tests is None else None
        if match and not (match[1] == "mod" and line.rstrip().endswith(";")):
            above = before(lines, at, re.compile(r"\s*#\[|.*\)\]\s*$"))
            yield match[1], match[2], at + 1, above.startswith(("///", "*/")) or "#[doc" in lines[at - 1]


def script(text):
    lines = text.split("\n")
    for at, line in enumerate(lines):
        match = SCRIPT.match(line)
        if match:
            yield match[1].rstrip("*"), match[2], at + 1, before(lines, at, re.compile(r"\s*@")).endswith("*/")


def go(text):
    lines = text.split("\n")
    for at, line in enumerate(lines):
        match = GO.match(line)
        if match and (not match["owner"] or match["owner"][0].isupper()):
            name = f"{match['owner']}.{match['func']}" if match["owner"] else match["func"] or match["name"]
            above = lines[at - 1].strip() if at else ""
            yield match["kind"] or "func", name, at + 1, above.startswith("//") or above.endswith("*/")


READERS = {".py": python, ".rs": rust, ".js": script, ".mjs": script, ".jsx": script, ".ts": script, ".tsx": script, ".go": go}


def files(paths):
    for path in paths:
        if os.path.isfile(path):
            yield path
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if name not in SKIP and not name.startswith("."))
            for name in sorted(names):
                whole = os.path.normpath(os.path.join(folder, name))
                if os.path.splitext(name)[1] in READERS and not TEST.search(whole) and not name.endswith(".d.ts"):
                    yield whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", default=["."])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found, counts, problems = [], {}, []
    for path in files(options.paths):
        try:
            with open(path, encoding="utf-8") as file:
                items = list(READERS[os.path.splitext(path)[1]](file.read(4 << 20)))
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            problems.append({"file": path, "problem": str(error)})
            continue
        done = sum(documented for *_, documented in items)
        counts[path] = {"documented": done, "items": len(items)}
        found += [{"file": path, "line": line, "kind": kind, "name": name} for kind, name, line, documented in items if not documented]
    total = sum(count["items"] for count in counts.values())
    done = sum(count["documented"] for count in counts.values())
    if options.json:
        print(json.dumps({"items": total, "documented": done, "undocumented": found, "files": counts, "problems": problems}, indent=2))
        return
    for one in found:
        print(f"{one['file']}:{one['line']}: {one['kind']} {one['name']}".rstrip())
    for one in problems:
        print(f"{one['file']}: not read: {one['problem']}", file=sys.stderr)
    print(f"\n{done} of {total} public items are documented, in {len(counts)} files")


if __name__ == "__main__":
    main()
