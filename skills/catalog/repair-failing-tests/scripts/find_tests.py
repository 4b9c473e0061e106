#!/usr/bin/env python3
"""How a project's tests are run: commands with the evidence for each, the likeliest first.

usage: find_tests.py [FOLDER] [--json]
"""

import argparse
import json
import os
import re
import shutil

SKIP = {".git", "node_modules", "target", "venv", ".venv", "dist", "build", "__pycache__", "vendor"}


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""


def look(root):
    found = []

    def add(command, why, needs, folder="."):
        found.append({"command": command, "folder": folder, "why": why, "there": shutil.which(needs) is not None})

    has = lambda name: os.path.isfile(os.path.join(root, name))
    makefile = read(os.path.join(root, "Makefile"))
    for target in ("test", "check"):
        if re.search(rf"^{target}\s*:", makefile, re.M):
            add(f"make {target}", f"Makefile has a target `{target}`", "make")
    if has("Cargo.toml"):
        add("cargo test --workspace" if "[workspace]" in read(os.path.join(root, "Cargo.toml")) else "cargo test", "Cargo.toml", "cargo")
    if has("go.mod"):
        add("go test ./...", "go.mod", "go")
    if has("package.json"):
        try:
            scripts = json.loads(read(os.path.join(root, "package.json"))).get("scripts", {})
        except ValueError:
            scripts = {}
        runner = "pnpm" if has("pnpm-lock.yaml") else "yarn" if has("yarn.lock") else "npm"
        if "no test specified" not in scripts.get("test", "no test specified"):
            add(f"{runner} test", f"package.json: test is `{scripts['test']}`", runner)
    settings = "".join(read(os.path.join(root, name)) for name in ("pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini"))
    python = python_tests(root)
    if re.search(r"\[(tool\.|tool:)?pytest|pytest", settings) or any(uses for _, uses in python):
        add("python3 -m pytest -q", "pytest is configured or imported", "pytest")
    if python and not any(uses for _, uses in python):
        add("python3 -m unittest discover -v", f"{python[0][0]} and {len(python) - 1} more", "python3")
    for name in ("pom.xml", "build.gradle", "build.gradle.kts", "CMakeLists.txt", "Gemfile", "mix.exs"):
        if has(name):
            command, needs = {
                "pom.xml": ("mvn -q test", "mvn"), "CMakeLists.txt": ("ctest --test-dir build", "ctest"),
                "Gemfile": ("bundle exec rake test", "bundle"), "mix.exs": ("mix test", "mix"),
            }.get(name, ("./gradlew test" if has("gradlew") else "gradle test", "java"))
            add(command, name, needs)
    for name in sorted(os.listdir(root)):
        if re.fullmatch(r"(run[-_]?)?tests?\.(sh|bash)", name):
            add(f"bash {name}", f"{name} is there", "bash")
    workflows = os.path.join(root, ".github/workflows")
    for name in sorted(os.listdir(workflows)) if os.path.isdir(workflows) else []:
        for line in re.findall(r"^\s*(?:- )?run:\s*(.*\b(?:test|check|pytest)\b.*)$", read(os.path.join(workflows, name)), re.M):
            add(line.strip(), f"continuous integration runs it ({name})", line.split()[0])
    # What can be run here comes first; the rest keeps its order.
    return sorted(found, key=lambda one: not one["there"])


def python_tests(root):
    """Test files, and whether they import pytest."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIP and not name.startswith("."))
        for name in sorted(files):
            if re.fullmatch(r"test_.*\.py|.*_test\.py", name):
                path = os.path.join(folder, name)
                text = read(path)
                bare = "unittest" not in text and re.search(r"^(async )?def test_", text, re.M)
                found.append((os.path.relpath(path, root), bool("import pytest" in text or bare)))
        if len(found) > 500:
            break
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", default=".")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = look(options.folder)
    if options.json:
        print(json.dumps(found, indent=2))
    elif not found:
        print("no sign of tests; look for scripts in the documentation")
    else:
        for one in found:
            missing = "" if one["there"] else "  (its program is not installed)"
            print(f"{one['command']}\n    {one['why']}{missing}")


if __name__ == "__main__":
    main()
