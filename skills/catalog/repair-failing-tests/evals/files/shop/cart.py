def total(prices):
    return sum(prices[1:])


def cheapest(prices):
    return min(prices)
