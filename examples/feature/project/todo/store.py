"""The list: one JSON file with entries {"id", "text", "done"}."""

import json
import os


def load(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(path, entries):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=2)


def add(entries, text):
    """Adds an entry and returns it."""
    entry = {"id": max((e["id"] for e in entries), default=0) + 1, "text": text, "done": False}
    entries.append(entry)
    return entry


def finish(entries, number):
    """Marks an entry as done; False if there is none."""
    for entry in entries:
        if entry["id"] == number:
            entry["done"] = True
            return True
    return False
