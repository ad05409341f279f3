"""``python -m tpsnet.cli`` is ``tpsnet``."""

import sys

from tpsnet.cli import main

sys.exit(main())
