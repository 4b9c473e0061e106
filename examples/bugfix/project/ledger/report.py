"""What a statement comes to, month by month."""

import csv

from ledger.money import parse_amount


def read(lines):
    """Rows of a statement: date, text, amount in cents."""
    for row in csv.DictReader(lines):
        yield row["date"], row["text"], parse_amount(row["amount"])


def by_month(rows):
    """Totals by month ("2026-03"), in the order of the months."""
    totals = {}
    for date, _, cents in rows:
        month = date[:8]
        totals[month] = totals.get(month, 0) + cents
    return totals
