"""Reads the git log: which files change most, who commits, how many commits a week."""
import json
import os
import subprocess
import time

# The newest commit is the folder as it was copied; the person's own history begins with its parent.
START = "HEAD^"
LIMIT = 3000
GIT = ["git", "-c", "safe.directory=*", "-c", "core.quotePath=false", "-c", "log.showSignature=false"]


def has_history():
    try:
        found = subprocess.run([*GIT, "rev-parse", "--quiet", "--verify", START + "^{commit}"], capture_output=True)
    except OSError:
        return False
    return found.returncode == 0


def log():
    """Commits, newest first: time, author, and (added, removed, path) of each file."""
    command = [*GIT, "log", "--no-merges", "--no-renames", f"--max-count={LIMIT}", "--numstat", "--format=%x01%ct%x02%aN", START]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace") as git:
        commit = None
        for line in git.stdout:
            line = line.rstrip("\n")
            if line.startswith("\x01"):
                if commit:
                    yield commit
                when, _, author = line[1:].partition("\x02")
                commit = (int(when), author, [])
            elif commit and line.count("\t") >= 2:
                added, removed, path = line.split("\t", 2)
                commit[2].append((int(added) if added.isdigit() else 0, int(removed) if removed.isdigit() else 0, path))
        if commit:
            yield commit
    if git.returncode:
        raise SystemExit(f"git log failed with exit code {git.returncode}")


def monday(seconds):
    day = time.gmtime(seconds)
    return time.strftime("%Y-%m-%d", time.gmtime(seconds - day.tm_wday * 86400))


def main():
    history = has_history()
    files, authors, weeks, days = {}, {}, {}, {}
    commits = 0
    first = last = None
    for when, author, touched in log() if history else ():
        commits += 1
        first, last = min(first or when, when), max(last or when, when)
        authors[author] = authors.get(author, 0) + 1
        for table, start in ((weeks, monday(when)), (days, time.strftime("%Y-%m-%d", time.gmtime(when)))):
            table[start] = table.get(start, 0) + 1
        for added, removed, path in touched:
            row = files.setdefault(path, {"path": path, "commits": 0, "added": 0, "removed": 0, "exists": False})
            row["commits"] += 1
            row["added"] += added
            row["removed"] += removed
    hot = sorted(files.values(), key=lambda it: (-it["commits"], -(it["added"] + it["removed"]), it["path"]))[:20]
    for row in hot:
        row["exists"] = os.path.lexists(row["path"])
    ranked = sorted(authors.items(), key=lambda it: (-it[1], it[0]))
    day = lambda seconds: time.strftime("%Y-%m-%d", time.gmtime(seconds)) if seconds else None
    result = {
        "history": history, "commits": commits, "cut": commits == LIMIT, "first": day(first), "last": day(last),
        "files_touched": len(files), "files": hot, "authors_count": len(authors),
        "authors": [{"name": name, "commits": count} for name, count in ranked[:15]],
        "other_authors_commits": sum(count for _, count in ranked[15:]),
        "weeks": [{"from": week, "commits": count} for week, count in sorted(weeks.items())],
        # A short history is shown by day.
        "days": [{"from": day, "commits": count} for day, count in sorted(days.items())] if len(weeks) <= 8 else [],
    }
    if not history:
        return result, "There is no git history to read."
    return result, f"{commits:,} commits, {len(authors):,} authors, from {result['first']} to {result['last']}."


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


hand_over("churn", *main())
