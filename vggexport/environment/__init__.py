"""What this process runs on: package versions, memory used, and the machine."""

from vggexport.environment.process import package_versions, peak_rss_bytes, usable_cores

__all__ = ["package_versions", "peak_rss_bytes", "usable_cores"]
