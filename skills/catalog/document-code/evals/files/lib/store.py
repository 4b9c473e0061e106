"""A store of values by key."""


class Store:
    """Keeps the newest values, up to a number of them."""

    def __init__(self, most):
        self.most, self.values = most, {}

    def put(self, key, value):
        self.values.pop(key, None)
        self.values[key] = value
        while len(self.values) > self.most:
            self.values.pop(next(iter(self.values)))

    def get(self, key):
        """Returns the value, or None if it is not (or no longer) there."""
        return self.values.get(key)


def parse_span(text):
    number, unit = text[:-1], text[-1]
    return int(number) * {"s": 1000, "m": 60_000}[unit]


def _inside():
    pass
