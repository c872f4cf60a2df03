"""The types of the errors of data files."""

from __future__ import annotations

from app.platform.web.problem_types import ProblemType

UNSUPPORTED_FILE = ProblemType(
    "unsupported-file",
    415,
    "The content of the file is neither CSV nor JSON.",
    "Send a CSV or JSON file in UTF-8: `detail` says what is wrong.",
)
FILE_TOO_LARGE = ProblemType(
    "file-too-large",
    413,
    "The file or the form around it is larger than the limit.",
    "Send less at a time: `detail` names the limit.",
)
STORAGE_QUOTA_REACHED = ProblemType(
    "storage-quota-reached",
    413,
    "The file does not fit into what the files of one user may have in total.",
    "Delete files: `detail` says how many bytes are left.",
)
TOO_MANY_UNFINISHED_TESTS = ProblemType(
    "too-many-unfinished-tests",
    429,
    "The caller has as many unfinished tests as one user may have.",
    "Wait until one of the tests has finished.",
)

PROBLEM_TYPES = (UNSUPPORTED_FILE, FILE_TOO_LARGE, STORAGE_QUOTA_REACHED, TOO_MANY_UNFINISHED_TESTS)
