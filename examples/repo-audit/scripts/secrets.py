"""Looks for secrets by pattern and entropy. Says where and what kind, never the secret."""
import json
import math
import os
import re
import subprocess
import sys

KEPT = 200
RULES = [
    ("private key", "high", r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----"),
    ("AWS access key", "high", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("GitHub token", "high", r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b"),
    ("GitLab token", "high", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("Slack token", "high", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("Stripe key", "high", r"\b[rs]k_live_[A-Za-z0-9]{20,}\b"),
    ("Google API key", "high", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("model provider key", "high", r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}\b"),
    ("JSON web token", "medium", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("password in a URL", "medium", r"\b[a-z][a-z0-9+.-]{1,12}://[^\s/:@\x22'<>{}$]+:[^\s/:@\x22'<>{}$]{3,}@[A-Za-z0-9.-]+"),
]
ASSIGNED = (r"(?i)(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[a-z0-9_]{0,20}"
            r"[\x22']?\s{0,3}(?::|=|:=|=>)\s{0,3}[\x22']([^\x22'\s]{12,200})[\x22']")
HARMLESS = re.compile(r"(?i)example|changeme|placeholder|your[_-]|dummy|sample|redacted|xxxx|\*\*\*\*|\.\.\.|^[<${%]|^(.)\1*$")


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


def entropy(text):
    """Bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in (text.count(char) for char in set(text)))


def judge(text):
    """The rule that a line breaks, how bad it is, and how long the match is."""
    for name, severity, pattern in RULES:
        found = re.search(pattern, text)
        if found and not HARMLESS.search(found.group(0)):
            return name, severity, len(found.group(0))
    found = re.search(ASSIGNED, text)
    if found and not HARMLESS.search(found.group(1)) and entropy(found.group(1)) >= 3.7 and re.search(r"\d", found.group(1)):
        return "assigned secret", "medium", len(found.group(1))
    return None


def main():
    findings, total, by_rule = [], 0, {}
    pattern = "|".join(f"(?:{rule})" for _, _, rule in RULES) + f"|(?:{ASSIGNED})"
    for path, line, text in search(pattern):
        judged = judge(text[:4000])
        if judged is None:
            continue
        rule, severity, length = judged
        total += 1
        by_rule[rule] = by_rule.get(rule, 0) + 1
        if len(findings) < KEPT:
            findings.append({"rule": rule, "severity": severity, "path": path, "line": line, "length": length})
    findings.sort(key=lambda it: (it["severity"] != "high", it["path"], it["line"]))
    result = {"total": total, "by_rule": by_rule, "findings": findings, "rules": len(RULES) + 1, "cut": total > len(findings)}
    return result, f"Possible secrets: {total:,}." if total else f"No secret found by {len(RULES) + 1} rules."


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


hand_over("secrets", *main())
