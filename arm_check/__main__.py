"""``python -m arm_check``."""

import sys

from arm_check.check import main
from vggexport.errors import VggExportError

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except VggExportError as error:
        print(f"arm-check: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
