#!/usr/bin/env python3
"""What a project declares as dependencies, how loosely, and what its lockfiles hold.

usage: inventory.py [FOLDER] [--json]
"""

import argparse
import json
import os
import re
import sys

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

SKIP = {".git", "node_modules", "target", "venv", ".venv", "dist", "build", "__pycache__", "vendor"}
REQUIREMENT = re.compile(r"^([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(@\s*\S+|[^;#]*)")


def entry(name, demand, group="", source="registry"):
    demand = demand.strip()
    odd = []
    if source != "registry":
        odd.append(source)
    elif demand in ("", "*", "latest", "x"):
        odd.append("any")
    elif re.match(r"={1,3}\s*\d|^v?\d[\w.+-]*$", demand) and source == "registry" and not demand.startswith("="):
        pass
    elif re.search(r"<|==|~=|!=|^=\s*\d", demand):
        odd.append("held_back")
    return {"name": name, "demand": demand, "group": group, "odd": odd}


def requirement(text, group=""):
    match = REQUIREMENT.match(text.strip())
    if not match:
        return None
    demand = match[2].strip()
    source = "git" if "git+" in demand else "url" if demand.startswith("@") else "registry"
    return entry(match[1], demand, group, source)


def requirements(text):
    found = []
    for line in re.sub(r"\\\n", " ", text).split("\n"):
        line = line.split(" #")[0].strip()
        if line.startswith(("-e", "git+", "http")):
            name = re.search(r"#egg=([\w.-]+)", line)
            found.append(entry(name[1] if name else line.split()[-1], line, source="git" if "git+" in line else "path"))
        elif line and not line.startswith(("#", "-")):
            found.append(requirement(line.split(" --hash")[0]))
    return [one for one in found if one]


def toml(text):
    if tomllib is None:
        raise ValueError("reading TOML needs Python 3.11")
    return tomllib.loads(text)


def pyproject(text):
    data = toml(text)
    project = data.get("project", {})
    found = [requirement(one) for one in project.get("dependencies", [])]
    for group, rows in {**project.get("optional-dependencies", {}), **data.get("dependency-groups", {})}.items():
        found += [requirement(one, group) for one in rows if isinstance(one, str)]
    poetry = data.get("tool", {}).get("poetry", {})
    groups = {"": poetry.get("dependencies", {}), "dev": poetry.get("dev-dependencies", {})}
    groups.update({name: one.get("dependencies", {}) for name, one in poetry.get("group", {}).items()})
    for group, rows in groups.items():
        found += [table(name, value, group) for name, value in rows.items() if name != "python"]
    return [one for one in found if one]


def table(name, value, group):
    if isinstance(value, str):
        return entry(name, value, group)
    if not isinstance(value, dict) or value.get("workspace"):
        return None
    source = next((kind for kind in ("git", "path", "url") if kind in value), "registry")
    return entry(value.get("package", name), str(value.get("version", value.get(source, ""))), group, source)


def cargo(text):
    data = toml(text)
    found = []
    places = [("", data), ("workspace", data.get("workspace", {}))]
    places += [(name, one) for name, one in data.get("target", {}).items()]
    for where, place in places:
        for kind, group in (("dependencies", ""), ("dev-dependencies", "dev"), ("build-dependencies", "build")):
            found += [table(name, value, " ".join(filter(None, [where, group]))) for name, value in place.get(kind, {}).items()]
    return [one for one in found if one]


def package(text):
    data, found = json.loads(text), []
    for kind, group in (("dependencies", ""), ("devDependencies", "dev"), ("peerDependencies", "peer"), ("optionalDependencies", "optional")):
        for name, demand in data.get(kind, {}).items():
            source = "git" if re.match(r"git|github:|\w+/\w+", demand) else "path" if demand.startswith(("file:", "link:")) else "registry"
            found.append(entry(name, demand, group, source if not demand.startswith("workspace:") else "path"))
    return found


def gomod(text):
    found = []
    for block in re.findall(r"^require\s*\(([^)]*)\)", text, re.M) + re.findall(r"^require\s+([^(\n]+)$", text, re.M):
        for name, version, more in re.findall(r"(\S+)\s+(v\S+)(.*)", block):
            found.append(entry(name, version, "indirect" if "indirect" in more else ""))
    for name in re.findall(r"^\s*(?:replace\s+)?(\S+)(?:\s+v\S+)?\s+=>\s", text, re.M):
        for one in found:
            if one["name"] == name:
                one["odd"].append("replaced")
    return found


def locked_cargo(text):
    return {one["name"]: one["version"] for one in toml(text).get("package", [])}


def locked_npm(text):
    data = json.loads(text)
    rows = data.get("packages") or data.get("dependencies") or {}
    return {name.rsplit("node_modules/", 1)[-1]: one.get("version", "") for name, one in rows.items() if name}


MANIFESTS = [
    (re.compile(r"requirements[\w.-]*\.(txt|in)$"), requirements, []),
    (re.compile(r"pyproject\.toml$"), pyproject, ["poetry.lock", "uv.lock", "pdm.lock"]),
    (re.compile(r"Cargo\.toml$"), cargo, ["Cargo.lock"]),
    (re.compile(r"package\.json$"), package, ["package-lock.json", "yarn.lock", "pnpm-lock.yaml"]),
    (re.compile(r"go\.mod$"), gomod, ["go.sum"]),
]
LOCKS = {"Cargo.lock": locked_cargo, "package-lock.json": locked_npm, "poetry.lock": locked_cargo, "uv.lock": locked_cargo}


def look(root):
    manifests, locks, problems = [], {}, []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIP and not name.startswith("."))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            reader = next((one for one in MANIFESTS if one[0].match(name)), None)
            if not reader and name not in LOCKS:
                continue
            try:
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    text = file.read(32 << 20)
                if name in LOCKS:
                    locks[path] = LOCKS[name](text)
                if reader:
                    manifests.append({"file": path, "dependencies": reader[1](text), "lock_names": reader[2]})
            except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
                problems.append({"file": path, "problem": str(error)})
    manifests.sort(key=lambda manifest: manifest["file"])
    every = {os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names if name in {lock for one in MANIFESTS for lock in one[2]}}
    for manifest in manifests:
        names = manifest.pop("lock_names")
        folder = os.path.dirname(os.path.join(root, manifest["file"]))
        manifest["locked"] = not names or not manifest["dependencies"] or has_lock(folder, names, every, root)
        for lock, versions in locks.items():
            if os.path.basename(lock) in names:
                for one in manifest["dependencies"]:
                    if one["name"] in versions:
                        one["locked_version"] = versions[one["name"]]
    demands = {}
    for manifest in manifests:
        for one in manifest["dependencies"]:
            demands.setdefault((one["name"], os.path.splitext(manifest["file"])[1]), set()).add(one["demand"])
    twice = sorted(name for (name, _), found in demands.items() if len(found) > 1)
    return {"manifests": manifests, "demanded_differently": twice, "problems": problems}


def has_lock(folder, names, every, root):
    """A lock here, or in a folder above."""
    while True:
        if any(os.path.join(folder, name) in every for name in names):
            return True
        if os.path.samefile(folder or ".", root) or not folder:
            return False
        folder = os.path.dirname(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", default=".")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = look(options.folder)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for manifest in report["manifests"]:
        missing = "" if manifest["locked"] else "  ! no lockfile"
        print(f"{manifest['file']}: {len(manifest['dependencies'])} dependencies{missing}")
        for one in manifest["dependencies"]:
            odd = "".join(f"  ! {kind}" for kind in one["odd"])
            version = f" (locked {one['locked_version']})" if "locked_version" in one else ""
            group = f" [{one['group']}]" if one["group"] else ""
            print(f"    {one['name']} {one['demand'] or '(any)'}{version}{group}{odd}")
    if report["demanded_differently"]:
        print("demanded differently: " + ", ".join(report["demanded_differently"]))
    for one in report["problems"]:
        print(f"inventory.py: {one['file']}: {one['problem']}", file=sys.stderr)
    if not report["manifests"]:
        print("no manifests that are known here")


if __name__ == "__main__":
    main()
