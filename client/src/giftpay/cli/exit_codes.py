"""The exit codes of the command line."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Each code; README.md lists them too."""

    DONE = 0
    REFUSED = 1
    WRONG_USE = 2
    UNANSWERED = 3
    UNWRITTEN = 4
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.REFUSED: "refused, or the books are not clean",
    ExitCode.WRONG_USE: "wrong use, or a malformed catalog file",
    ExitCode.UNANSWERED: "no answer: the outcome of a command is unknown",
    ExitCode.UNWRITTEN: "the output could not be written: a command may be done",
    ExitCode.INTERRUPTED: "interrupted: the outcome of a command is unknown",
}
