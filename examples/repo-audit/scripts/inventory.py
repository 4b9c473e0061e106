"""Counts files, lines, bytes and languages below the current folder."""
import json
import os

SKIP = {".git", "baton-report"}
LANGUAGES = {
    "Rust": ".rs", "Python": ".py .pyi", "JavaScript": ".js .mjs .cjs .jsx", "TypeScript": ".ts .tsx .mts",
    "Go": ".go", "C": ".c .h", "C++": ".cc .cpp .cxx .hpp .hh", "C#": ".cs", "Java": ".java", "Kotlin": ".kt .kts",
    "Swift": ".swift", "Ruby": ".rb", "PHP": ".php", "Shell": ".sh .bash .zsh", "Perl": ".pl .pm", "Lua": ".lua",
    "Scala": ".scala", "Haskell": ".hs", "Elixir": ".ex .exs", "SQL": ".sql", "HTML": ".html .htm",
    "CSS": ".css .scss .sass .less", "Markdown": ".md .markdown", "Text": ".txt .rst .adoc", "JSON": ".json .jsonl",
    "YAML": ".yaml .yml", "TOML": ".toml", "XML": ".xml .svg", "CSV": ".csv .tsv", "Protobuf": ".proto",
    "Lock file": ".lock", "Image": ".png .jpg .jpeg .gif .webp .ico", "Configuration": ".ini .cfg .conf .env",
}
BY_SUFFIX = {suffix: name for name, suffixes in LANGUAGES.items() for suffix in suffixes.split()}
BY_NAME = {"Makefile": "Make", "Dockerfile": "Docker", "Containerfile": "Docker", "LICENSE": "Text", "NOTICE": "Text"}


def files():
    for folder, folders, names in os.walk("."):
        if folder == ".":
            folders[:] = [name for name in folders if name not in SKIP]
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)[2:]
            if path != ".git" and os.path.isfile(path) and not os.path.islink(path):
                yield path, name


def look(path):
    """Size, lines, and whether it is text."""
    size = lines = 0
    binary, last = False, b"\n"
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            binary = binary or b"\0" in block[:8192]
            size += len(block)
            lines += block.count(b"\n")
            last = block[-1:]
    if binary:
        return size, 0, False
    return size, lines + (size > 0 and last != b"\n"), True


def main():
    languages, everything, folders = {}, [], {}
    totals = {"files": 0, "lines": 0, "bytes": 0, "text_files": 0}
    for path, name in files():
        size, lines, text = look(path)
        suffix = os.path.splitext(name)[1].lower()
        language = BY_NAME.get(name) or BY_SUFFIX.get(suffix) or ("Other text" if text else "Binary")
        row = languages.setdefault(language, {"name": language, "files": 0, "lines": 0, "bytes": 0})
        top = path.split("/", 1)[0] if "/" in path else "(top)"
        above = folders.setdefault(top, {"name": top, "files": 0, "lines": 0, "bytes": 0})
        for count in (totals, row, above):
            count["files"] += 1
            count["lines"] += lines
            count["bytes"] += size
        totals["text_files"] += text
        everything.append((size, lines, path))
    everything.sort(key=lambda it: (-it[0], it[2]))
    title = os.path.basename(os.getcwd())
    for name in ("README.md", "README", "readme.md"):
        if os.path.isfile(name):
            with open(name, encoding="utf-8", errors="replace") as file:
                heading = next((line[2:].strip() for line in file if line.startswith("# ")), "")
            title = heading[:80] or title
            break
    result = {
        "title": "" if title == "workspace" else title,
        **totals,
        "languages": sorted(languages.values(), key=lambda it: (-it["lines"], -it["bytes"], it["name"])),
        "folders": sorted(folders.values(), key=lambda it: (-it["lines"], it["name"]))[:12],
        "largest": [{"path": path, "bytes": size, "lines": lines} for size, lines, path in everything[:15]],
    }
    main_language = next((row["name"] for row in result["languages"] if row["lines"]), "nothing")
    return result, f"{totals['files']:,} files with {totals['lines']:,} lines, most of them {main_language}."


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


hand_over("inventory", *main())
