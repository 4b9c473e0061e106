"""Finds licence files, what manifests say, and SPDX headers."""
import json
import os
import re
import subprocess
import sys

NAMES = re.compile(r"(?i)^(un)?licen[cs]e|^copying|^notice")
KINDS = [
    ("Apache-2.0", r"Apache License\s+Version 2\.0"), ("MIT", r"Permission is hereby granted, free of charge"),
    ("BSD-3-Clause", r"Redistribution and use in source and binary forms.*[Nn]either the name"),
    ("BSD-2-Clause", r"Redistribution and use in source and binary forms"),
    ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE"), ("LGPL", r"GNU LESSER GENERAL PUBLIC LICENSE"),
    ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"), ("GPL-2.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 2"),
    ("MPL-2.0", r"Mozilla Public License,? [Vv]ersion 2\.0"), ("ISC", r"Permission to use, copy, modify, and(/or)? distribute"),
    ("Unlicense", r"free and unencumbered software released into the public domain"), ("CC0-1.0", r"CC0 1\.0 Universal"),
]
SOURCES = (".rs .py .js .ts .tsx .jsx .go .c .h .cc .cpp .hpp .java .kt .swift .rb .php .sh .cs .scala").split()
MANIFESTS = {
    "Cargo.toml": r"^\s*license\s*=\s*\"([^\"]+)\"", "pyproject.toml": r"^\s*license\s*=.*?\"([^\"]+)\"",
    "package.json": r"\"license\"\s*:\s*\"([^\"]+)\"", "composer.json": r"\"license\"\s*:\s*\"([^\"]+)\"",
    "pom.xml": r"<license>\s*<name>([^<]+)</name>",
}


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


def walk():
    for folder, folders, names in os.walk("."):
        if folder == ".":
            folders[:] = [name for name in folders if name not in (".git", "baton-report")]
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)[2:]
            if os.path.isfile(path) and not os.path.islink(path):
                yield path, name


def read(path, limit=100_000):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(limit)


def kind_of(text):
    flat = re.sub(r"\s+", " ", text)
    return next((kind for kind, pattern in KINDS if re.search(pattern, flat, re.S)), "unknown")


def main():
    files, manifests, sources = [], [], 0
    for path, name in walk():
        suffix = os.path.splitext(name)[1].lower()
        if NAMES.search(name) and suffix in ("", ".md", ".txt", ".rst"):
            files.append({"path": path, "licence": kind_of(read(path))})
        if name in MANIFESTS:
            found = re.search(MANIFESTS[name], read(path), re.M)
            if found:
                manifests.append({"path": path, "licence": found.group(1).strip()})
        sources += suffix in SOURCES
    headers, with_header = {}, set()
    for path, line, text in search(r"SPDX-License-Identifier:\s*[A-Za-z0-9.+()-]+"):
        found = re.search(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+()-]+(?: (?:OR|AND|WITH) [A-Za-z0-9.+()-]+)*)", text)
        if found and line <= 30 and path not in with_header and os.path.splitext(path)[1].lower() in SOURCES:
            with_header.add(path)
            headers[found.group(1)] = headers.get(found.group(1), 0) + 1
    remarks = []
    if not any("/" not in item["path"] for item in files):
        remarks.append("There is no licence file at the top of the folder.")
    remarks += [f"The licence in {item['path']} was not recognised." for item in files
                if item["licence"] == "unknown" and not os.path.basename(item["path"]).lower().startswith("notice")]
    if sources and 0 < len(with_header) < sources:
        remarks.append(f"{sources - len(with_header):,} of {sources:,} source files have no SPDX header, the others have one.")
    result = {"files": files[:100], "manifests": manifests[:200], "headers": headers, "sources": sources,
              "sources_with_header": len(with_header), "remarks": remarks}
    kinds = sorted({item["licence"] for item in files + manifests} - {"unknown"})
    return result, f"Licence files: {len(files):,}; licences: {', '.join(kinds) or 'none found'}."


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


hand_over("licences", *main())
