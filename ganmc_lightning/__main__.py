"""``python -m ganmc_lightning``."""

import sys

from ganmc_lightning.cli import main

sys.exit(main())
