"""The code that an experiment's ``run`` reaches: a digest of it for the task's key, and its way to other processes.

Code outside installed packages is *local*: a user's file, the modules beside it, a script, a notebook. A digest
covers what ``run`` reaches of it: the statements of its file that bind what it mentions and so on from there, and
whole local modules where it imports them. Comments, layout and docstrings do not count, and nothing else in the file
does: editing ``figure`` or ``claims`` changes no key.

Functions of files go to another process by name, with the files themselves (:class:`Luggage`): it uses the original
files where they are at their place unchanged, and copies elsewhere. What has no file goes by value.
"""

from learnability.source.files import alias
from learnability.source.local import count_as_own, file_of, is_local, one_line, place_of
from learnability.source.luggage import Luggage
from learnability.source.reach import Reach, reach

__all__ = ["Luggage", "Reach", "alias", "count_as_own", "file_of", "is_local", "one_line", "place_of", "reach"]
