"""`python -m tests.live`: survey the vendor with the key of the environment."""

import os
import sys

from tests.live.survey import main

sys.exit(main(os.environ))
