"""The types of `datasets` for annotations, without importing it, which takes half a second.

Cached data and predictions do not need that library. The types are in a module of their own because
jsonargparse runs the code under TYPE_CHECKING in the modules of all classes that take settings.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
else:
    Dataset = DatasetDict = Any

__all__ = ["Dataset", "DatasetDict"]
