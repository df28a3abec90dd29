"""int8 arithmetic, activation ranges and the audit: the same for every file format."""
