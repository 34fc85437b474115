"""Questions with their gold SQL and their database, from any dataset, in one type: `load_examples`.

One file per published layout; see `evaluation.benchmarks.layout` for how to add one.
"""

from evaluation.benchmarks.find import find_sources as find_sources
from evaluation.benchmarks.find import present_splits as present_splits
from evaluation.benchmarks.known import is_bundled as is_bundled
from evaluation.benchmarks.known import known_layouts as known_layouts
from evaluation.benchmarks.known import named as named
from evaluation.benchmarks.layout import Example as Example
from evaluation.benchmarks.layout import Layout as Layout
from evaluation.benchmarks.layout import Turn as Turn
from evaluation.benchmarks.load import Split as Split
from evaluation.benchmarks.load import load_examples as load_examples
from evaluation.benchmarks.load import load_split as load_split
