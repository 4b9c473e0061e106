import unittest

from cart import cheapest, total


class Cart(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total([1, 2, 3]), 6)

    def test_total_of_one(self):
        self.assertEqual(total([5]), 5)

    def test_nothing(self):
        self.assertIsNone(cheapest([]))


if __name__ == "__main__":
    unittest.main()
