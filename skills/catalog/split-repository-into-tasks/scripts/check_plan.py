#!/usr/bin/env python3
"""A first check of a plan in JSON: shape, needs, circles, checks, outputs that meet. Baton's own check is stricter.

usage: check_plan.py PLAN.json
"""

import json
import re
import sys

PLAN = {"version", "title", "goal", "defaults", "policies", "approval", "replan", "budget", "tasks"}
TASK = {
    "id", "title", "needs", "run", "agent", "inputs", "outputs", "checks", "approval", "retries", "timeout", "budget", "network", "when", "foreach",
    "env", "resources",
}
AGENT = {"instructions", "skills", "harness", "model", "max_turns", "may_replan"}
SPAN = re.compile(r"(\d+(ms|s|m|h|d))+$")
SHORT = 60


def shape(plan, errors, warnings):
    for key in set(plan) - PLAN:
        errors.append(f"the plan has no field `{key}`")
    if plan.get("version") != 1:
        errors.append("`version` must be 1")
    if not plan.get("title"):
        errors.append("there is no `title`")
    if not isinstance(plan.get("tasks"), list) or not plan["tasks"]:
        errors.append("there are no tasks")
        return []
    tasks = [task for task in plan["tasks"] if isinstance(task, dict)]
    seen = set()
    for number, task in enumerate(tasks, 1):
        name = task.get("id", f"number {number}")
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", str(task.get("id", ""))):
            errors.append(f"task {name}: `id` must be 1 to 64 of a-z, 0-9, _ and -, starting with a letter")
        if name in seen:
            errors.append(f"task {name}: the id is there twice")
        seen.add(name)
        for key in set(task) - TASK:
            errors.append(f"task {name}: there is no field `{key}`")
        if ("run" in task) == ("agent" in task):
            errors.append(f"task {name}: exactly one of `run` and `agent`")
        agent = task.get("agent")
        if agent is not None:
            if not isinstance(agent, dict) or not str(agent.get("instructions", "")).strip():
                errors.append(f"task {name}: the agent has no `instructions`")
            else:
                for key in set(agent) - AGENT:
                    errors.append(f"task {name}: `agent` has no field `{key}`")
                if len(agent["instructions"]) < SHORT:
                    warnings.append(f"task {name}: the instructions are very short")
        if not task.get("checks"):
            warnings.append(f"task {name}: nothing proves it done (`checks`)")
        for check in task.get("checks", []):
            line = check if isinstance(check, str) else str(check.get("run", "")) if isinstance(check, dict) else ""
            if re.fullmatch(r"\s*(true|:|echo\b.*|exit 0)?\s*", line):
                warnings.append(f"task {name}: the check `{line}` proves nothing")
        for field in ("inputs", "outputs"):
            for glob in task.get(field, []):
                if glob.startswith("/") or ".." in glob.split("/"):
                    errors.append(f"task {name}: `{glob}` leads out of the folder")
        if "timeout" in task and not SPAN.match(str(task["timeout"])):
            errors.append(f"task {name}: `timeout` is a duration such as 30m")
    return tasks


def order(tasks, errors):
    """Ids by layer, and who comes before whom."""
    ids = {task.get("id") for task in tasks}
    needs = {}
    for task in tasks:
        wanted = task.get("needs", [])
        for need in wanted:
            if need == task.get("id"):
                errors.append(f"task {need}: it needs itself")
            elif need not in ids:
                errors.append(f"task {task.get('id')}: there is no task `{need}`")
        needs[task.get("id")] = {need for need in wanted if need in ids and need != task.get("id")}
    layers, before, left = [], {}, dict(needs)
    while left:
        ready = sorted(name for name, wanted in left.items() if wanted <= set(before))
        if not ready:
            errors.append("these tasks wait for each other in a circle: " + ", ".join(sorted(left)))
            break
        for name in ready:
            before[name] = set().union(left[name], *(before[need] for need in left[name]))
            del left[name]
        layers.append(ready)
    return layers, before


def head(glob):
    """The fixed beginning of a glob."""
    return re.split(r"[*?\[{]", glob)[0]


def meet(a, b):
    one, two = head(a), head(b)
    return a == b or ((one != a or two != b) and (one.startswith(two) or two.startswith(one)) and not fixed_apart(a, b))


def fixed_apart(a, b):
    """A plain path against a glob of one folder: `docs/a.md` and `docs/*.py` do not meet."""
    for plain, glob in ((a, b), (b, a)):
        if head(plain) == plain:
            pattern = re.escape(glob).replace(r"\*\*/", "(.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
            return not re.fullmatch(pattern, plain)
    return False


def collisions(tasks, before, warnings):
    for at, one in enumerate(tasks):
        for two in tasks[at + 1 :]:
            a, b = one.get("id"), two.get("id")
            if a in before.get(b, ()) or b in before.get(a, ()):
                continue
            pairs = [(x, y) for x in one.get("outputs", []) for y in two.get("outputs", []) if meet(x, y)]
            if pairs:
                warnings.append(f"tasks {a} and {b} run at the same time and may both change `{pairs[0][0]}`")
            elif not one.get("outputs") and not two.get("outputs"):
                warnings.append(f"tasks {a} and {b} run at the same time, and neither says what it may change (`outputs`)")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            plan = json.load(file)
    except (OSError, ValueError) as error:
        sys.exit(f"check_plan.py: {sys.argv[1]}: {error}")
    errors, warnings = [], []
    if not isinstance(plan, dict):
        sys.exit(f"check_plan.py: {sys.argv[1]}: not an object")
    tasks = shape(plan, errors, warnings)
    layers, before = order(tasks, errors)
    collisions(tasks, before, warnings)
    for text in errors:
        print(f"error: {text}")
    for text in warnings:
        print(f"warning: {text}")
    width = max((len(layer) for layer in layers), default=0)
    print(f"{len(tasks)} tasks, the longest chain has {len(layers)}, at most {width} at the same time")
    for number, layer in enumerate(layers, 1):
        print(f"  {number}: {', '.join(layer)}")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
