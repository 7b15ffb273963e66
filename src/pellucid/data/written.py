"""How the cells of a column are written, and by that what the column is: numbers, dates or text.

`written` gathers what decides about that from the different cells of a column, or of a part of one; `joined` adds up
parts, so that a file can be looked at piece by piece. `decide` says how each column of a file is read."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from shlex import quote

import numpy as np

from ..base.errors import DataError, OptionError
from .frame import KINDS, as_codes

# Marks of a missing value, in every column, and those that only a column of numbers or dates has.
MARKS = frozenset(
    [
        "",
        "NA",
        "N/A",
        "n/a",
        "na",
        "#N/A",
        "#NA",
        "<NA>",
        "NaN",
        "nan",
        "NAN",
        "null",
        "NULL",
        "Null",
        "?",
    ]
)
NUMBER_MARKS = MARKS | {"-", "--", ".", "..", "None", "none", "NaT"} | {
    "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#NULL!",  # cells of a spreadsheet that failed
}  # fmt: skip

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
INFINITE = re.compile(r"[+-]?(?:inf|infinity|∞)", re.IGNORECASE)
LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
WHOLE = re.compile(r"[+-]?[0-9]+")
EXACT = 2**53  # float64 holds every whole number up to here
BLANK = "[ \u00a0\u202f'’]"  # what groups thousands besides a comma or a point
COMMA_DECIMAL = re.compile(
    rf"[+-]?(?:[0-9]+|[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}})+|[1-9][0-9]{{0,2}}(?:{BLANK}[0-9]{{3}})+)(?:,[0-9]*)?"
    r"(?:[eE][+-]?[0-9]+)?|[+-]?,[0-9]+"
)
THOUSANDS = re.compile(
    rf"[+-]?(?:[0-9]+|[1-9][0-9]{{0,2}}(?:,[0-9]{{3}})+|[1-9][0-9]{{0,2}}(?:{BLANK}[0-9]{{3}})+)(?:\.[0-9]*)?"
)
GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
COMMAS = "is read with decimal commas."
AFFIXES = "%$€£¥₹"

ISO = re.compile(
    r"([0-9]{4})([-/])([0-9]{1,2})(?:\2([0-9]{1,2})(?:[T ]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r" ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?)?)?"
)
TRIPLE = re.compile(
    r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})(?: ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?"
)

SHORT_YEAR = re.compile(
    r"[0-9]{1,2}([-/.])[0-9]{1,2}\1[0-9]{2}(?: [0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)?"
)

STRAYS = 3  # so many different words among numbers are strays, not text
ENOUGH = 20  # cells that are numbers, beside which a word is a stray
RARE = 0.05  # share of the cells that strays may have


@dataclass
class Cells:
    """The cells of one column: row i holds distinct[codes[i]].

    distinct  the different texts, without the blanks around them, in the order in which they come; "" for none"""

    name: str
    codes: np.ndarray
    distinct: list[str]

    @staticmethod
    def of(name: str, texts: Sequence[str | None]) -> "Cells":
        """From the cells as they are written, None where there is none."""
        return Cells.of_codes(name, *as_codes(texts))

    @staticmethod
    def of_codes(name: str, codes: np.ndarray, texts: Sequence[str | None]) -> "Cells":
        """From numbers of these different texts."""
        place: dict[str, int] = {}
        same = [place.setdefault("" if t is None else t.strip(), len(place)) for t in texts]
        if len(place) < len(texts):
            codes = np.array(same, np.int32)[codes]
        return Cells(name, codes, list(place))

    def __len__(self) -> int:
        return len(self.codes)

    def first(self, text: str) -> int:
        """The first row that holds it."""
        return int((self.codes == self.distinct.index(text)).argmax())

    def counts(self) -> np.ndarray:
        """How many rows hold each of the texts."""
        return np.bincount(self.codes, minlength=len(self.distinct))

    def texts(self, rows: np.ndarray) -> list[str]:
        """The cells of some rows."""
        return [self.distinct[i] for i in self.codes[rows].tolist()]


class Unsure(Exception):
    """The facts do not suffice to decide; those of a thorough look do."""


Place = tuple[str, str]  # where a cell is, and its text


@dataclass(frozen=True)
class Strays:
    """Texts that are none of a kind: each with its number of cells and where the first is; STRAYS + 1 at most."""

    texts: tuple[tuple[str, int, str], ...] = ()

    def joined(self, other: "Strays") -> "Strays":
        """Those of both."""
        found = {t: (t, n, where) for t, n, where in self.texts}
        for text, n, where in other.texts:
            _, before, first = found.get(text, (text, 0, where))
            found[text] = (text, before + n, first)
        return Strays(tuple(found.values())[: STRAYS + 1])


@dataclass(frozen=True)
class Dates:
    """Facts of cells that all are dates.

    first, second  the largest of the numbers in front and in the middle of dates as 31/01/2020; 0 without such
    differ         whether these two differ anywhere       barred  whether they are parted by other signs than points
    wrong          texts that are no day of the calendar: those as 2020-01-31, those with the day first, and those
                   with the month first; None where there are none
    zones          whether one has a time zone"""

    first: int = 0
    second: int = 0
    differ: bool = False
    barred: bool = False
    wrong: tuple[str | None, str | None, str | None] = (None, None, None)
    zones: bool = False

    def joined(self, other: "Dates") -> "Dates":
        """Of both."""
        return Dates(
            max(self.first, other.first),
            max(self.second, other.second),
            self.differ or other.differ,
            self.barred or other.barred,
            tuple(a or b for a, b in zip(self.wrong, other.wrong, strict=True)),  # type: ignore[arg-type]
            self.zones or other.zones,
        )


@dataclass(frozen=True)
class Written:
    """Facts of the present cells of a column: those that are no marks of a missing value.

    n         how many there are
    sign      that every cell has, such as %, or nothing
    plain, comma, thousands   whether all are numbers written as 1234.5, as 1.234,5, as 1,234.5; None: not looked at
    commas, points            whether a cell has one
    grouped   whether every point may stand between thousands; None: not looked at
    first     the first cell      marked   the first with a comma or a point
    zeros, kept               whether numbers have leading zeros; the first cell that would lose digits as a number
    dates     None where a cell is no date
    strays    cells that are no plain numbers, cells that are no dates
    short     whether all are dates whose years have two digits"""

    n: int = 0
    sign: str = ""
    plain: bool = True
    comma: bool | None = True
    thousands: bool | None = True
    commas: bool = False
    points: bool = False
    grouped: bool | None = True
    first: Place | None = None
    marked: Place | None = None
    zeros: bool = False
    kept: Place | None = None
    dates: Dates | None = field(default_factory=Dates)
    strays: tuple[Strays, Strays] = (Strays(), Strays())
    short: bool = True

    def joined(self, other: "Written") -> "Written":
        """The facts of this part and the one that comes after it. Raises Unsure where one was not looked at."""
        if not self.n or not other.n:
            return self if self.n else other
        same = self.sign == other.sign

        def both(name: str) -> bool | None:
            a, b = getattr(self, name), getattr(other, name)
            if not same or a is False or b is False:
                return False
            if (a is None or b is None) and not (self.plain and other.plain):
                raise Unsure
            return None if a is None or b is None else True

        return Written(
            self.n + other.n,
            self.sign if same else "",
            bool(self.plain and other.plain and same),
            both("comma"),
            both("thousands"),
            self.commas or other.commas,
            self.points or other.points,
            None if None in (self.grouped, other.grouped) else self.grouped and other.grouped,
            self.first or other.first,
            self.marked or other.marked,
            self.zeros or other.zeros,
            self.kept or other.kept,
            self.dates.joined(other.dates) if self.dates and other.dates else None,
            tuple(a.joined(b) for a, b in zip(self.strays, other.strays, strict=True)),  # type: ignore[arg-type]
            self.short and other.short,
        )


def plain_numbers(n: int, points: bool) -> Written:
    """The facts of n cells that are known to be plain numbers which lose nothing."""
    return Written(n, "", True, None, None, False, points, None, dates=None) if n else Written()


def written(
    c: Cells, marks: frozenset[str], place: Callable[[int], str], thorough: bool
) -> Written:
    """The facts of a column's cells.

    marks     of a missing value, in a column of numbers
    place     says where a row is
    thorough  look at everything, also where the cells are plain numbers"""
    present = [t for t in c.distinct if t not in marks]
    if not present:
        return Written()

    def at(text: str) -> Place:
        return place(c.first(text)), text

    bare, sign = bare_of(present)
    plain = _fit(NUMBER, bare)
    comma = thousands = grouped = None
    if thorough or not plain:
        comma, thousands = _fit(COMMA_DECIMAL, bare), _fit(THOUSANDS, bare)
        pointed = [t for t in present if "." in t]
        grouped = all(GROUPED.fullmatch(t) for t in pointed)
    is_number = plain or comma or thousands
    kept = next((t for t in present if _why_text(t)), None) if is_number else None
    marked = next((t for t in present if "," in t or "." in t), None) if is_number else None
    n_each = c.counts()
    n = int(sum(n_each[i] for i, t in enumerate(c.distinct) if t not in marks))
    odd = Strays() if plain and not sign else _strays(c, present, NUMBER.fullmatch, place)
    return Written(
        n,
        sign,
        plain,
        comma,
        thousands,
        any("," in t for t in bare) if is_number else False,
        any("." in t for t in present) if is_number else False,
        grouped,
        at(present[0]),
        None if marked is None else at(marked),
        any(LEADING_ZERO.match(t) for t in present) if kept is not None else False,
        None if kept is None else at(kept),
        _dates(present),
        (odd, _strays(c, present, date_parts, place)),
        all(SHORT_YEAR.fullmatch(t) for t in present),
    )


def _fit(pattern: re.Pattern, texts: Sequence[str]) -> bool:
    return all(pattern.fullmatch(t) or INFINITE.fullmatch(t) for t in texts)


def _why_text(text: str) -> str:
    """Why a whole number is rather an identifier; empty when it is not."""
    if LEADING_ZERO.match(text):
        return ZEROS
    if len(text) > 15 and WHOLE.fullmatch(text) and abs(int(text)) > EXACT:
        return "a number of so many digits would lose some"
    return ""


ZEROS = "leading zeros would be lost"


def _strays(c: Cells, present: list[str], fits: Callable, place: Callable[[int], str]) -> Strays:
    found = []
    for text in present:
        if not fits(text):
            found.append(text)
            if len(found) > STRAYS:
                return Strays(tuple((t, 0, place(c.first(t))) for t in found))
    n_each = c.counts()
    return Strays(tuple((t, int(n_each[c.distinct.index(t)]), place(c.first(t))) for t in found))


def _dates(present: list[str]) -> Dates | None:
    """The facts of dates; None where a cell is none."""
    parts = []
    for text in present:
        found = date_parts(text)
        if found is None:
            return None
        parts.append(found)
    triples = [p for p in parts if p[0] == "triple"]
    wrong: list[str | None] = [None, None, None]
    for text, p in zip(present, parts, strict=True):
        for i, day_first in ((0, True),) if p[0] == "iso" else ((1, True), (2, False)):
            if wrong[i] is None and moment(p, day_first) is None:
                wrong[i] = text
    return Dates(
        max((int(p[1]) for p in triples), default=0),
        max((int(p[3]) for p in triples), default=0),
        any(p[1] != p[3] for p in triples),
        any(p[2] != "." for p in triples),
        (wrong[0], wrong[1], wrong[2]),
        any(p[0] == "iso" and p[9] for p in parts),
    )


# ---- What a column is ----


@dataclass(frozen=True)
class Reading:
    """How a column is read.

    kind       number, text or date
    style      of numbers: plain (1234.5), comma (1.234,5), thousands (1,234.5)
    sign       that each of them has, left out
    day_first  of dates as 31.01.2020
    notes      what was decided, for a person"""

    kind: str
    style: str = "plain"
    sign: str = ""
    day_first: bool = True
    notes: tuple[str, ...] = ()


def decide(
    columns: Mapping[str, Written],
    decimal: str | None = None,
    kinds: Mapping[str, str] | None = None,
    comma_separated: bool = True,
) -> list[Reading]:
    """How each column is read, from the facts of all its cells; the parameters are those of cells.columns_of.

    Raises DataError, with the place and the column, for a stray word in a column of numbers and for numbers that can
    be read in two ways; Unsure where that depends on facts that were not looked at."""
    kinds = kinds or {}
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise OptionError(
                f"column {name!r}: there is no kind {kind!r}. There are: {', '.join(KINDS)}."
            )
    if decimal not in (None, ".", ","):
        raise OptionError(f"decimal {decimal!r}: give '.' or ','.")
    styles = {name: _styles(w, decimal) for name, w in columns.items()}
    point = any(s == ["plain"] and columns[name].points for name, s in styles.items())
    comma = any(s == ["comma"] for s in styles.values())
    grouped = any(s == ["thousands"] for s in styles.values())
    out = []
    for name, w in columns.items():
        found = styles[name]
        style = found[0] if len(found) == 1 else None
        if kinds.get(name, "number") != "number":
            found = []
        if len(found) > 1 and comma and not grouped and not point:
            style = "comma"
        elif len(found) > 1 and (grouped or point or comma_separated) and not comma:
            style = "thousands"
        elif len(found) > 1 or (found == ["plain"] and comma and decimal is None and _grouped(w)):
            assert w.marked is not None
            raise DataError(
                f"{w.marked[0]}, column {name!r}: {w.marked[1]!r} can be read with its mark before the decimals or "
                f"between the thousands. Say which mark stands before decimals: decimal=',' or decimal='.'."
            )
        out.append(_reading(name, w, style, kinds.get(name)))
    return out


def _styles(w: Written, decimal: str | None) -> list[str]:
    """The ways in which all cells are numbers: plain (1234.5), comma (1.234,5), thousands (1,234.5)."""
    if not w.n or (w.plain and decimal != ","):
        return ["plain"]
    if (decimal != "." and w.comma is None) or (decimal != "," and w.thousands is None):
        raise Unsure
    found = ["comma"] * bool(decimal != "." and w.comma)
    found += ["thousands"] * bool(decimal != "," and w.thousands)
    if len(found) == 2 and not w.commas:
        return ["thousands"]  # blanks between thousands: both readings agree
    return found


def _grouped(w: Written) -> bool:
    """Whether there are points, and each may stand between thousands."""
    if w.points and w.grouped is None:
        raise Unsure
    return bool(w.points and w.grouped)


def _reading(name: str, w: Written, style: str | None, forced: str | None) -> Reading:
    """Of one column, once it is known how its numbers are written (style None: they are not all numbers)."""
    if forced not in ("text", "date") and style is not None:
        if w.kept is None or forced is not None:
            notes = []
            if style == "comma":
                notes.append(f"column {name!r} {COMMAS}")
            elif style == "thousands":
                notes.append(f"column {name!r} is read with its thousands set apart.")
            if w.sign:
                notes.append(f"column {name!r} is in {w.sign}: the signs are left out.")
            return Reading("number", style, w.sign, notes=tuple(notes))
        where, text = w.kept
        why = ZEROS if w.zeros else _why_text(text)
        return Reading("text", notes=(f"column {name!r} stays text: {why} ({where}: {text})",))
    if forced == "number":
        where, bad = _odd(w, 0)
        raise DataError(
            f"{where}, column {name!r}: {bad!r} is not a number. Correct it, or leave it empty if it means missing "
            f"(to train: --missing {quote(bad)})"
        )
    if forced == "text":
        return Reading("text")
    day_first, note = True, ""
    if w.dates is not None and w.n:
        day_first, note, are_dates = _day_first(w.dates)
        if are_dates:
            said = (f"column {name!r}: {note}",) if note else ()
            return Reading("date", day_first=day_first, notes=said)
    if forced == "date":
        if not w.n:
            return Reading("date")
        where, bad = _odd(w, 1)
        raise DataError(
            f"{where}, column {name!r}: {bad!r} is not a date that can be read in one way. Write dates as 2020-01-31."
        )
    if w.short and w.n and not note:
        note = (
            "its dates have years of two digits, so that they stay text; write them as 2020-01-31."
        )
    _refuse_strays(name, w)
    return Reading("text", notes=(f"column {name!r}: {note}",) if note else ())


def _odd(w: Written, kind: int) -> Place:
    """The first cell that is no plain number (0), or no date (1); the first of all where each is one."""
    for text, _, where in w.strays[kind].texts:
        return where, text
    assert w.first is not None
    return w.first


def _day_first(d: Dates) -> tuple[bool, str, bool]:
    """(whether the day comes first, what is to be said, whether they are dates at all)."""
    day_first, note = True, ""
    if d.barred:
        if d.first <= 12 and d.second <= 12 and d.differ:
            return True, (
                "its dates can be read with the day or the month first, so that they stay text; write "
                "them as 2020-01-31."
            ), False  # fmt: skip
        day_first = d.first > 12
        note = f"dates are read with the {'day' if day_first else 'month'} first."
    wrong = d.wrong[0] or d.wrong[1 if day_first else 2]
    if wrong:
        why = f"{wrong} is not a day of the calendar, so that the column stays text."
        return day_first, why, False
    return day_first, "times are read as UTC." if d.zones else note, True


def _refuse_strays(name: str, w: Written) -> None:
    """A few odd words in a long column of numbers or dates are a mark or a slip, not text: a person must say."""
    for what, strays in zip(("number", "date"), w.strays, strict=True):
        texts = strays.texts
        n_odd = sum(n for _, n, _ in texts)
        good = w.n - n_odd
        if not texts or len(texts) > STRAYS or good < ENOUGH or n_odd > RARE * w.n:
            continue
        text, _, where = texts[0]
        others = f" ({n_odd} such cells)" if n_odd > 1 else ""
        raise DataError(
            f"{where}, column {name!r}: {text!r} is not a {what}, as the other {good} are{others}. If it means "
            f"missing: --missing {quote(text)}; if the column is text: --column {quote(name)}=category"
        )


def moment(parts: tuple, day_first: bool) -> datetime | None:
    """The time, in UTC, that date_parts has cut; None for no day of the calendar."""
    if parts[0] == "iso":
        _, year, _, month, day, hour, minute, second, fraction, zone = parts
        micros = int((fraction or "0")[:6].ljust(6, "0"))
    else:
        _, day, _, month, year, hour, minute, second = parts
        if not day_first:
            day, month = month, day
        micros, zone = 0, None
    try:
        when = datetime(
            int(year), int(month), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), micros
        )  # fmt: skip
        return when - offset(zone) if zone else when
    except (ValueError, OverflowError):
        return None


def bare_of(present: list[str]) -> tuple[list[str], str]:
    """(cells without the percent or currency sign that every one of them has, the sign)."""
    for sign in AFFIXES:
        if sign in present[0] and all(t.count(sign) == 1 for t in present):
            cut = [_without(t, sign) for t in present]
            if all(t is not None for t in cut):
                return [t for t in cut if t is not None], sign
    return present, ""


def _without(text: str, sign: str) -> str | None:
    """The cell without its first or last sign; None where the sign stands elsewhere."""
    if text.endswith(sign):
        return text[:-1].rstrip()
    lead = text[0] if text[0] in "+-" else ""
    rest = text[len(lead) :]
    return lead + rest[1:].lstrip() if sign != "%" and rest.startswith(sign) else None


def date_parts(text: str) -> tuple | None:
    """("iso", ...) or ("triple", ...) of the digits; None for what is no date."""
    found = ISO.fullmatch(text)
    if found:
        return ("iso", *found.groups())
    found = TRIPLE.fullmatch(text)
    return ("triple", *found.groups()) if found else None


def offset(zone: str) -> timedelta:
    """How far the zone is ahead of UTC."""
    if zone in ("Z", "UTC"):
        return timedelta()
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return timedelta(minutes=minutes if zone[0] == "+" else -minutes)


def looks_like_a_value(text: str) -> bool:
    """Whether a cell is a number, an amount or a date: what the name of a column hardly is."""
    text = text.strip()
    if not text:
        return False
    if NUMBER.fullmatch(text):
        return True
    bare = bare_of([text])[0][0]
    return bool(
        NUMBER.fullmatch(bare)
        or COMMA_DECIMAL.fullmatch(bare)
        or THOUSANDS.fullmatch(bare)
        or INFINITE.fullmatch(bare)
        or date_parts(text)
    )
