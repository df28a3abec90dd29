"""Results as GitHub-flavoured Markdown, for the summary of a CI job."""
