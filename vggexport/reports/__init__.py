"""Results as values, and their renderings: text for a person, JSON for a program."""
