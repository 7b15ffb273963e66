"""Cells: columns of text become numbers, dates or text, decided over all their cells.

Comes in: the cells of a file as they are written (delimited.py, reading.py). Goes out: columns (frame.py) and a
sentence for each thing that had to be decided. A number is read only where every present cell is a number and no
digit is lost: 007 and 20-digit identifiers stay text. Each distinct cell is looked at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from ..base.errors import DataError, OptionError
from .frame import KINDS, Column

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

STRAYS = 3  # so many different words among numbers are strays, not text
ENOUGH = 20  # cells that are numbers, beside which a word is a stray
RARE = 0.05  # share of the cells that strays may have


@dataclass
class Cells:
    """The cells of one column as they are written, without the blanks around them, None where there is none."""

    name: str
    texts: list
    distinct: list[str] = field(default_factory=list)

    def __post_init__(self):
        found = dict.fromkeys(self.texts)
        if None in found or any(t != t.strip() for t in found):
            self.texts = ["" if t is None else t.strip() for t in self.texts]
            found = dict.fromkeys(self.texts)
        self.distinct = list(found)


def columns_of(
    names: Sequence[str],
    columns: Sequence[Sequence[str | None]],
    place: Callable[[int], str],
    missing: Sequence[str] | None = None,
    decimal: str | None = None,
    kinds: Mapping[str, str] | None = None,
    comma_separated: bool = True,
    point_seen: bool = False,
) -> tuple[tuple[Column, ...], list[str]]:
    """Columns of the cells, and notes.

    place            says where a row is: 'titanic.csv, line 5'
    missing          marks of a missing value instead of MARKS; an empty cell is always missing
    decimal          "." or ","; None finds out
    kinds            name -> number, text or date, where it must not be found out
    comma_separated  the cells stood between commas: 1,234 is then 1234, not 1.234
    point_seen       other columns of the file have decimal points

    Raises DataError, with the place and the column, for a number too large, for a stray word in a column of
    numbers, and for numbers that can be read in two ways."""
    kinds = kinds or {}
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise OptionError(
                f"column {name!r}: there is no kind {kind!r}. There are: {', '.join(KINDS)}."
            )
    if decimal not in (None, ".", ","):
        raise OptionError(f"decimal {decimal!r}: give '.' or ','.")
    marks = (MARKS, NUMBER_MARKS) if missing is None else (frozenset(["", *missing]),) * 2
    cells = [Cells(name, list(texts)) for name, texts in zip(names, columns, strict=True)]
    styles = [_styles([t for t in c.distinct if t not in marks[1]], decimal) for c in cells]
    point = point_seen or any(
        s == ["plain"] and any("." in t for t in c.distinct)
        for c, s in zip(cells, styles, strict=True)
    )
    comma = any(s == ["comma"] for s in styles)
    grouped = any(s == ["thousands"] for s in styles)
    out, notes = [], []
    for c, found in zip(cells, styles, strict=True):
        style = found[0] if len(found) == 1 else None
        if kinds.get(c.name, "number") != "number":
            found = []
        if len(found) > 1 and comma and not grouped and not point:
            style = "comma"
        elif len(found) > 1 and (grouped or point or comma_separated) and not comma:
            style = "thousands"
        elif len(found) > 1 or (found == ["plain"] and comma and decimal is None and _grouped(c)):
            row = next(
                i for i, t in enumerate(c.texts) if re.search("[,.]", t) and t not in marks[1]
            )
            raise DataError(
                f"{place(row)}, column {c.name!r}: {c.texts[row]!r} can be read with its mark before the decimals or "
                f"between the thousands. Say which mark stands before decimals: decimal=',' or decimal='.'."
            )
        column, said = _column(c, style, place, marks, kinds.get(c.name))
        out.append(column)
        notes += said
    return tuple(out), notes


def _styles(present: list[str], decimal: str | None) -> list[str]:
    """The ways in which all these cells are numbers: plain (1234.5), comma (1.234,5), thousands (1,234.5)."""
    if not present:
        return ["plain"]
    bare = _bare(present)[0]
    fits = lambda pattern: all(pattern.fullmatch(t) or INFINITE.fullmatch(t) for t in bare)  # noqa: E731
    if fits(NUMBER) and decimal != ",":
        return ["plain"]
    found = []
    if decimal != "." and fits(COMMA_DECIMAL):
        found.append("comma")
    if decimal != "," and fits(THOUSANDS):
        found.append("thousands")
    if len(found) == 2 and not any("," in t for t in bare):
        return ["thousands"]  # blanks between thousands: both readings agree
    return found


def _grouped(c: Cells) -> bool:
    """Whether every point of the column may stand between thousands."""
    pointed = [t for t in c.distinct if "." in t and t not in NUMBER_MARKS]
    return bool(pointed) and all(GROUPED.fullmatch(t) for t in pointed)


def _bare(present: list[str]) -> tuple[list[str], str]:
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


def _plain(text: str, style: str) -> str:
    """The number as Python writes it."""
    if INFINITE.fullmatch(text):
        return text.replace("∞", "inf")
    if style == "plain":
        return text
    text = re.sub(BLANK, "", text)
    return text.replace(".", "").replace(",", ".") if style == "comma" else text.replace(",", "")


def _column(c: Cells, style, place, marks, forced) -> tuple[Column, list[str]]:
    """One column, once it is known how its numbers are written (style None: they are not all numbers)."""
    present = [t for t in c.distinct if t not in marks[1]]
    if forced != "text" and forced != "date" and style is not None:
        kept = _why_text(present) if forced is None else ""
        if not kept:
            return _numbers(c, style, present, place, marks[1])
        text = next(t for t in present if _why_text([t]))
        row = c.texts.index(text)
        column, notes = _texts(c, place, marks[0])
        return column, [f"column {c.name!r} stays text: {kept} ({place(row)}: {text})", *notes]
    if forced == "number":
        bad = next(t for t in present if not NUMBER.fullmatch(t))
        raise DataError(
            f"{place(c.texts.index(bad))}, column {c.name!r}: {bad!r} is not a number. If it means missing, say "
            f"so: missing={bad!r}."
        )
    if forced != "text":
        dates, note = _dates(present)
        if dates is not None:
            return _dated(c, dates, note, place, marks[1])
        if forced == "date":
            bad = next((t for t in present if _date_parts(t) is None), present[0])
            raise DataError(
                f"{place(c.texts.index(bad))}, column {c.name!r}: {bad!r} is not a date that can be read in one "
                f"way. Write dates as 2020-01-31."
            )
        _refuse_strays(c, present, place)
        column, notes = _texts(c, place, marks[0])
        return column, [*([f"column {c.name!r}: {note}"] if note else []), *notes]
    return _texts(c, place, marks[0])


def _why_text(present: list[str]) -> str:
    """Why whole numbers are rather identifiers; empty when they are not."""
    if any(LEADING_ZERO.match(t) for t in present):
        return "leading zeros would be lost"
    if any(len(t) > 15 and WHOLE.fullmatch(t) and abs(int(t)) > EXACT for t in present):
        return "a number of so many digits would lose some"
    return ""


def _numbers(c: Cells, style, present, place, marks) -> tuple[Column, list[str]]:
    bare, sign = _bare(present) if present else ([], "")
    value_of = dict.fromkeys(marks, 0.0)
    for text, cut in zip(present, bare, strict=True):
        value = float(_plain(cut, style))
        if np.isinf(value) and not INFINITE.fullmatch(cut):
            raise DataError(
                f"{place(c.texts.index(text))}, column {c.name!r}: {text[:40]} is beyond the largest number, 1.8e308. "
                f"Correct it, or read it as missing: missing={text[:40]!r}."
            )
        value_of[text] = value
    values = np.array([value_of[t] for t in c.texts], np.float64)
    missing = _marked(c, marks)
    notes = _mark_note(c, missing, place)
    infinite = np.isinf(values)
    if infinite.any():
        notes.append(
            f"column {c.name!r}: {_cells(infinite)} infinite ({place(int(infinite.argmax()))})."
        )
    if style == "comma":
        notes.append(f"column {c.name!r} {COMMAS}")
    elif style == "thousands":
        notes.append(f"column {c.name!r} is read with its thousands set apart.")
    if sign:
        notes.append(f"column {c.name!r} is in {sign}: the signs are left out.")
    return Column(c.name, "number", values, missing), notes


def _texts(c: Cells, place, marks) -> tuple[Column, list[str]]:
    values = np.empty(len(c.texts), object)
    missing = _marked(c, marks)
    values[:] = c.texts
    values[missing] = ""
    return Column(c.name, "text", values, missing), _mark_note(c, missing, place)


def _dated(c: Cells, dates, note, place, marks) -> tuple[Column, list[str]]:
    dates = {**dict.fromkeys(marks, np.datetime64(0, "us")), **dates}
    values = np.array([dates[t] for t in c.texts], "datetime64[us]")
    missing = _marked(c, marks)
    notes = [f"column {c.name!r}: {note}"] if note else []
    return Column(c.name, "date", values, missing), [*notes, *_mark_note(c, missing, place)]


def _marked(c: Cells, marks) -> np.ndarray:
    """(N,) whether each cell is a mark of a missing value."""
    if not any(t in marks for t in c.distinct):
        return np.zeros(len(c.texts), bool)
    return np.fromiter((t in marks for t in c.texts), bool, len(c.texts))


def _mark_note(c: Cells, missing: np.ndarray, place) -> list[str]:
    rows = [i for i in np.flatnonzero(missing) if c.texts[i]]
    return [mark_note(c.name, len(rows), place(int(rows[0])))] if rows else []


def mark_note(name: str, n: int, where: str) -> str:
    """The note on cells that hold a mark of a missing value."""
    said = "1 cell holds a mark" if n == 1 else f"{n} cells hold marks"
    return f"column {name!r}: {said} such as NA, read as missing ({where})."


def _cells(which: np.ndarray) -> str:
    n = int(which.sum())
    return "1 cell is" if n == 1 else f"{n} cells are"


def _refuse_strays(c: Cells, present: list[str], place) -> None:
    """A few odd words in a long column of numbers or dates are a mark or a slip, not text: a person must say."""
    for what, fits in (("number", NUMBER.fullmatch), ("date", _date_parts)):
        strays: list[str] = []
        for text in present:
            if not fits(text):
                strays.append(text)
                if len(strays) > STRAYS:
                    break
        else:
            rows = [i for i, t in enumerate(c.texts) if t in strays]
            known = set(present)
            good = sum(1 for t in c.texts if t in known) - len(rows) if strays else 0
            if strays and good >= ENOUGH and len(rows) <= RARE * (good + len(rows)):
                others = f" ({len(rows)} such cells)" if len(rows) > 1 else ""
                raise DataError(
                    f"{place(rows[0])}, column {c.name!r}: {c.texts[rows[0]]!r} is not a {what}, as the other {good} "
                    f"are{others}. If it means missing, say missing={c.texts[rows[0]]!r}; if the column is text, "
                    f"say kinds={{{c.name!r}: 'text'}}."
                )


def _date_parts(text: str) -> tuple | None:
    """("iso", ...) or ("triple", ...) of the digits; None for what is no date."""
    found = ISO.fullmatch(text)
    if found:
        return ("iso", *found.groups())
    found = TRIPLE.fullmatch(text)
    return ("triple", *found.groups()) if found else None


def _dates(present: list[str]) -> tuple[dict[str, np.datetime64] | None, str]:
    """(date of each cell, note), or (None, why not, where they look like dates)."""
    parts = []
    for text in present:
        parts.append(_date_parts(text))
        if parts[-1] is None:
            return None, ""
    triples = [p for p in parts if p is not None and p[0] == "triple"]
    day_first, note = True, ""
    if any(p[2] != "." for p in triples):
        first, second = (max(int(p[i]) for p in triples) for i in (1, 3))
        if first <= 12 and second <= 12 and any(p[1] != p[3] for p in triples):
            return None, (
                "its dates can be read with the day or the month first, so that they stay text; write "
                "them as 2020-01-31."
            )
        day_first = first > 12
        note = f"dates are read with the {'day' if day_first else 'month'} first."
    dates: dict[str, np.datetime64] = {}
    zones = False
    for text, p in zip(present, parts, strict=True):
        assert p is not None
        try:
            if p[0] == "iso":
                _, year, _, month, day, hour, minute, second_, fraction, zone = p
                micros = int((fraction or "0")[:6].ljust(6, "0"))
            else:
                _, day, _, month, year, hour, minute, second_ = p
                if not day_first:
                    day, month = month, day
                micros, zone = 0, None
            when = datetime(
                int(year),
                int(month),
                int(day or 1),
                int(hour or 0),
                int(minute or 0),
                int(second_ or 0),
                micros,
            )
            if zone:
                zones = True
                when -= _offset(zone)
        except (ValueError, OverflowError):
            return None, f"{text} is not a day of the calendar, so that the column stays text."
        dates[text] = np.datetime64(when, "us")
    if zones:
        note = "times are read as UTC."
    return dates, note


def _offset(zone: str) -> timedelta:
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
    bare = _bare([text])[0][0]
    return bool(
        NUMBER.fullmatch(bare)
        or COMMA_DECIMAL.fullmatch(bare)
        or THOUSANDS.fullmatch(bare)
        or INFINITE.fullmatch(bare)
        or _date_parts(text)
    )
