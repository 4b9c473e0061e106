import unittest

from todo import store


class Store(unittest.TestCase):
    def test_entries_are_numbered(self):
        entries = []
        store.add(entries, "milk")
        self.assertEqual(store.add(entries, "bread")["id"], 2)

    def test_done(self):
        entries = []
        store.add(entries, "milk")
        self.assertTrue(store.finish(entries, 1))
        self.assertFalse(store.finish(entries, 9))
        self.assertTrue(entries[0]["done"])
