"""``python -m gpu_check``."""

import sys

from gpu_check.check import main
from vggexport.errors import VggExportError

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except VggExportError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
