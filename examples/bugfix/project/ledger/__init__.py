"""Reads a bank's statement and says what was spent."""
