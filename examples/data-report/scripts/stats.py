"""Works out statistics of every cleaned file."""
import csv
import json
import os
import statistics
from collections import Counter


def about_numbers(texts):
    values = sorted(float(text) for text in texts if text)
    if not values:
        return {"count": 0, "missing": len(texts)}
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    reach = 3 * (quartiles[2] - quartiles[0])
    far = [value for value in values if reach and not quartiles[0] - reach <= value <= quartiles[2] + reach]
    return {"count": len(values), "missing": len(texts) - len(values), "sum": round(sum(values), 6), "mean": round(statistics.fmean(values), 6),
            "deviation": round(statistics.stdev(values), 6) if len(values) > 1 else 0.0, "min": values[0], "quarter": quartiles[0],
            "median": quartiles[1], "three_quarters": quartiles[2], "max": values[-1], "outliers": far[:200]}


def about_dates(texts):
    values = [text for text in texts if text]
    return {"count": len(values), "missing": len(texts) - len(values), "min": min(values, default=None), "max": max(values, default=None)}


def about_words(texts):
    values = Counter(text for text in texts if text)
    return {"count": sum(values.values()), "missing": texts.count(""), "distinct": len(values),
            "top": [{"value": value, "count": count} for value, count in values.most_common(6)]}


KINDS = {"number": about_numbers, "date": about_dates, "text": about_words}


def main():
    files = []
    with open("report/files.json", encoding="utf-8") as file:
        sources = json.load(file)["files"]
    for source in sources:
        stem = os.path.splitext(os.path.basename(source))[0]
        with open(f"clean/{stem}.issues.json", encoding="utf-8") as file:
            done = json.load(file)
        with open(done["clean"], encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
        columns = [{**column, **KINDS[column["type"]]([row[at] for row in rows])} for at, column in enumerate(done["columns"])]
        files.append({key: done[key] for key in ("source", "clean", "rows_in", "blank_rows", "duplicates", "rows_out", "counts", "remarks")} | {"columns": columns})
    totals = {key: sum(it[key] for it in files) for key in ("rows_in", "blank_rows", "duplicates", "rows_out")}
    totals["mended"] = sum(it["counts"].get("rewritten", 0) for it in files)
    totals["missing"] = sum(column["missing"] for it in files for column in it["columns"])
    return {"totals": totals, "files": files}


def hand_over(result, summary):
    for variable, text in (("BATON_RESULT", json.dumps(result, ensure_ascii=False)), ("BATON_SUMMARY", summary + "\n")):
        if path := os.environ.get(variable):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    print(summary)


result = main()
os.makedirs("report", exist_ok=True)
with open("report/stats.json", "w", encoding="utf-8") as out:
    json.dump(result, out, indent=1, ensure_ascii=False)
hand_over(result, f"{len(result['files'])} files, {result['totals']['rows_out']:,} clean rows of {result['totals']['rows_in']:,}.")
