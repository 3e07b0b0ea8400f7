"""The types of `datasets` for annotations, without its import, which takes half a second.

What is cached, or to be predicted, does without that library. In a module of their own, for jsonargparse
runs what is under TYPE_CHECKING in the modules of all classes that settings are for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
else:
    Dataset = DatasetDict = Any

__all__ = ["Dataset", "DatasetDict"]
