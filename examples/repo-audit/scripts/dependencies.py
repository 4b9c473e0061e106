"""Lists what the manifests of the usual ecosystems ask for."""
import json
import os
import re
import tomllib

SKIP = {".git", "baton-report", "node_modules", "vendor", "target", ".venv", "venv"}
KEPT = 1500


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def version_of(value):
    if isinstance(value, dict):
        if value.get("workspace"):
            return "of the workspace"
        return str(value.get("version") or value.get("path") or value.get("git") or "*")
    return str(value)


def cargo(text):
    manifest = tomllib.loads(text)
    tables = [("normal", manifest.get("workspace", {}).get("dependencies", {}))]
    for scope in [manifest, *manifest.get("target", {}).values()]:
        for kind, key in (("normal", "dependencies"), ("development", "dev-dependencies"), ("build", "build-dependencies")):
            tables.append((kind, scope.get(key, {})))
    for kind, table in tables:
        for name, value in table.items():
            yield name, version_of(value), kind


def npm(text):
    manifest = json.loads(text)
    for kind, key in (("normal", "dependencies"), ("development", "devDependencies"), ("optional", "optionalDependencies")):
        for name, version in (manifest.get(key) or {}).items():
            yield name, str(version), kind


def requirement(line):
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([^;#]*)", line)
    return (found.group(1), found.group(2).strip() or "*") if found else None


def requirements(text):
    for line in text.splitlines():
        if not line.lstrip().startswith(("#", "-")) and (found := requirement(line)):
            yield *found, "normal"


def pyproject(text):
    manifest = tomllib.loads(text)
    project = manifest.get("project", {})
    for line in project.get("dependencies", []):
        if found := requirement(line):
            yield *found, "normal"
    for lines in project.get("optional-dependencies", {}).values():
        for line in lines:
            if found := requirement(line):
                yield *found, "optional"
    for name, value in manifest.get("tool", {}).get("poetry", {}).get("dependencies", {}).items():
        if name != "python":
            yield name, version_of(value), "normal"


def go(text):
    for line in text.splitlines():
        found = re.match(r"\s*(?:require\s+)?([a-z0-9.-]+\.[a-z]+/\S+)\s+(v\S+)", line)
        if found:
            yield found.group(1), found.group(2), "indirect" if "// indirect" in line else "normal"


def ruby(text):
    for found in re.finditer(r"^\s*gem\s+['\"]([^'\"]+)['\"](?:\s*,\s*['\"]([^'\"]+)['\"])?", text, re.M):
        yield found.group(1), found.group(2) or "*", "normal"


def composer(text):
    manifest = json.loads(text)
    for kind, key in (("normal", "require"), ("development", "require-dev")):
        for name, version in (manifest.get(key) or {}).items():
            if "/" in name:
                yield name, str(version), kind


def maven(text):
    for block in re.findall(r"<dependency>(.*?)</dependency>", text, re.S):
        field = lambda name: (re.search(f"<{name}>\\s*([^<]+?)\\s*</{name}>", block) or [None, ""])[1]
        if field("artifactId"):
            yield field("artifactId"), field("version") or "*", field("scope") or "normal"


def docker(text):
    stages = set()
    for found in re.finditer(r"^\s*FROM\s+(?:--\S+\s+)?(\S+)(?:\s+[Aa][Ss]\s+(\S+))?", text, re.M):
        name, _, tag = found.group(1).partition(":")
        if name not in stages and name != "scratch":
            yield name, tag or "latest", "image"
        stages.add(found.group(2))


READERS = {
    "Cargo.toml": ("Cargo", cargo), "package.json": ("npm", npm), "pyproject.toml": ("Python", pyproject),
    "go.mod": ("Go", go), "Gemfile": ("Ruby", ruby), "composer.json": ("Composer", composer), "pom.xml": ("Maven", maven),
    "Dockerfile": ("Container", docker), "Containerfile": ("Container", docker),
}


def main():
    items, ecosystems, unreadable = [], {}, []
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if name not in SKIP)
        for name in sorted(names):
            ecosystem, reader = READERS.get(name, (None, None))
            if re.fullmatch(r"requirements.*\.txt", name):
                ecosystem, reader = "Python", requirements
            path = os.path.join(folder, name)[2:]
            if reader is None or not os.path.isfile(path):
                continue
            try:
                found = list(dict.fromkeys(reader(read(path))))
            except (ValueError, AttributeError, TypeError) as error:
                unreadable.append({"path": path, "reason": str(error)[:200]})
                continue
            row = ecosystems.setdefault(ecosystem, {"name": ecosystem, "manifests": 0, "dependencies": 0, "distinct": set()})
            row["manifests"] += 1
            row["dependencies"] += len(found)
            for dependency, version, kind in found:
                row["distinct"].add(dependency)
                items.append({"ecosystem": ecosystem, "name": dependency, "version": version[:80], "kind": kind, "manifest": path})
    rows = sorted(({**row, "distinct": len(row["distinct"])} for row in ecosystems.values()), key=lambda it: -it["dependencies"])
    any_version = sum(item["version"] in ("*", "latest", "") for item in items)
    total = len(items)
    result = {"total": total, "distinct": sum(row["distinct"] for row in rows), "any_version": any_version, "ecosystems": rows,
              "items": items[:KEPT], "cut": total > KEPT, "unreadable": unreadable}
    listed = ", ".join(f"{row['distinct']:,} of {row['name']}" for row in rows) or "none"
    return result, f"{total:,} entries in manifests; distinct dependencies: {listed}."


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


hand_over("dependencies", *main())
