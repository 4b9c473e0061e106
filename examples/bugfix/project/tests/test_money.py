import unittest

from ledger.money import format_amount, parse_amount, share


class Parse(unittest.TestCase):
    def test_plain(self):
        self.assertEqual(parse_amount("12.34"), 1234)
        self.assertEqual(parse_amount("7"), 700)

    def test_one_digit_behind_the_point_is_tenths(self):
        self.assertEqual(parse_amount("-3.5"), -350)

    def test_thousands(self):
        self.assertEqual(parse_amount("1,234,567.89"), 123456789)

    def test_brackets_mean_minus(self):
        self.assertEqual(parse_amount("(20.00)"), -2000)

    def test_there_and_back(self):
        for cents in (0, 5, -5, 99, 100, -123450, 987654321):
            self.assertEqual(parse_amount(format_amount(cents)), cents)


class Share(unittest.TestCase):
    def test_nothing_is_lost(self):
        for cents in (100, 101, 1, 0, -7):
            for parts in (1, 2, 3, 7):
                shares = share(cents, parts)
                self.assertEqual(len(shares), parts)
                self.assertEqual(sum(shares), cents)
                self.assertLessEqual(max(shares) - min(shares), 1)
