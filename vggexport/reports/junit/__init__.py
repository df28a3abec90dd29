"""Results as JUnit XML, which the dashboards of CI servers read."""
