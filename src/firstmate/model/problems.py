"""What is wrong with a configuration: values, collected, never just the first."""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding, at one place of one file.

    `code` is stable: E1xx shape, E2xx references, E3xx network, E4xx HAProxy, W3xx advice.
    """

    code: str
    text: str  # what is wrong, one sentence
    hint: str = ""  # what to do: 'did you mean "prefer"?'
    file: str = ""
    line: int = 0  # from 1; 0: the file as a whole
    column: int = 0  # from 1
    width: int = 1  # how many characters the caret covers
    severity: Severity = Severity.ERROR
