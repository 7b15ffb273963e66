"""The errors that pellucid raises for a user's mistake; a broken promise inside asserts instead.

Every message says what was given, what was needed and what to do."""


class PellucidError(Exception):
    """Base of all errors below; the command line prints its text and no traceback."""


class ShapeError(PellucidError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(PellucidError, TypeError):
    """A dtype that an operation does not take."""


class IndexRangeError(PellucidError, IndexError):
    """An index, label or axis outside its range."""


class NonFiniteError(PellucidError, ArithmeticError):
    """NaN or infinity where training cannot go on."""


class DataError(PellucidError, ValueError):
    """Input data that cannot be used: names the file, row and column."""


class FormatError(PellucidError, ValueError):
    """An unreadable or damaged model file: names the file, the field and what is wrong."""


class OptionError(PellucidError, ValueError):
    """An unknown or impossible option: suggests the nearest."""


class RunError(PellucidError, RuntimeError):
    """A run folder that cannot be used: in use by another process, read-only, full disk."""


class TraceError(PellucidError, TypeError):
    """A value was asked for that only exists when the compiled function runs."""
