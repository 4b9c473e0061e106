"""A list of things to do, in a file."""
