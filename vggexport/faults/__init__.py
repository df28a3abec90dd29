"""The known mistakes that make a file differ from its reference, and their marks."""
