"""The tests of paths to a peer import their parties by their bare name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
