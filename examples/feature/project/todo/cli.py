"""The command line: python3 -m todo.cli [--file F] add TEXT | list | done N"""

import argparse

from todo import store


def show(entries, out):
    for entry in entries:
        mark = "x" if entry["done"] else " "
        print(f"[{mark}] {entry['id']} {entry['text']}", file=out)


def parser():
    parser = argparse.ArgumentParser(prog="todo")
    parser.add_argument("--file", default="todo.json")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("add").add_argument("text")
    commands.add_parser("list")
    commands.add_parser("done").add_argument("number", type=int)
    return parser


def main(arguments=None, out=None):
    options = parser().parse_args(arguments)
    entries = store.load(options.file)
    if options.command == "add":
        entry = store.add(entries, options.text)
        store.save(options.file, entries)
        print(f"added {entry['id']}", file=out)
    elif options.command == "list":
        show(entries, out)
    elif options.command == "done":
        if not store.finish(entries, options.number):
            print(f"there is no entry {options.number}", file=out)
            return 1
        store.save(options.file, entries)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
