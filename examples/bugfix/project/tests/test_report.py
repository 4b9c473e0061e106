import unittest

from ledger.report import by_month, read

STATEMENT = """date,text,amount
2026-03-31,Rent,"-1,100.00"
2026-02-14,Flowers,(25.50)
2026-03-01,Salary,"2,750.00"
2026-02-01,Rent,"-1,100.00"
""".splitlines()


class ByMonth(unittest.TestCase):
    def test_totals(self):
        totals = by_month(read(STATEMENT))
        self.assertEqual(totals, {"2026-02": -112550, "2026-03": 165000})

    def test_months_come_in_order(self):
        self.assertEqual(list(by_month(read(STATEMENT))), ["2026-02", "2026-03"])
