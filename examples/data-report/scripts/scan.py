"""Lists the CSV files in data/."""
import glob
import json
import os
import sys


def hand_over(result, summary):
    for variable, text in (("BATON_RESULT", json.dumps(result, ensure_ascii=False)), ("BATON_SUMMARY", summary + "\n")):
        if path := os.environ.get(variable):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    print(summary)


files = sorted(path for path in glob.glob("data/*.csv") if os.path.getsize(path))
if not files:
    sys.exit("there is no CSV file in data/: put some there")
os.makedirs("report", exist_ok=True)
with open("report/files.json", "w", encoding="utf-8") as file:
    json.dump({"files": files}, file, indent=1)
hand_over({"files": files}, f"CSV files found: {len(files)}.")
