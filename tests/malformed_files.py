"""Malformed delimited files, each written out with the cells that a person sees in it, or with what is to be said."""

import math

import numpy as np

NO = None  # a missing cell


def date(text):
    return np.datetime64(text, "us")


# name: (bytes, {column: values}, words that a note must have)
GOOD = {
    "plain": (b"a,b\n1,2\n3,4\n", {"a": [1, 3], "b": [2, 4]}, ""),
    "no end of the last line": (b"a,b\n1,2\n3,4", {"a": [1, 3], "b": [2, 4]}, ""),
    "carriage returns and line feeds": (b"a,b\r\n1,2\r\n3,4\r\n", {"a": [1, 3], "b": [2, 4]}, ""),
    "carriage returns alone": (b"a,b\r1,2\r3,4\r", {"a": [1, 3], "b": [2, 4]}, ""),
    "mixed newlines": (
        b"a,b\r\n1,2\n3,4\r5,6\n",
        {"a": [1, 3, 5], "b": [2, 4, 6]},
        "more than one way",
    ),
    "trailing comma on every line": (
        b"a,b,\n1,2,\n3,4,\n",
        {"a": [1, 3], "b": [2, 4]},
        "empty column",
    ),
    "byte order mark": (b"\xef\xbb\xbfa,b\n1,2\n", {"a": [1], "b": [2]}, ""),
    "byte order mark before a quote": (b'\xef\xbb\xbf"a","b"\n1,2\n', {"a": [1], "b": [2]}, ""),
    "UTF-16 with its mark": ("a,b\n1,é\n".encode("utf-16"), {"a": [1], "b": ["é"]}, "UTF-16"),
    "UTF-16 big-endian": (
        b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be"),
        {"a": [1], "b": ["é"]},
        "UTF-16",
    ),
    "UTF-16 without its mark": ("a,b\n1,2\n".encode("utf-16-le"), {"a": [1], "b": [2]}, "UTF-16"),
    "UTF-32": ("a,b\n1,é\n".encode("utf-32"), {"a": [1], "b": ["é"]}, "UTF-32"),
    "Latin-1": (
        "a,b\n1,é\n2,ü\n".encode("latin-1"),
        {"a": [1, 2], "b": ["é", "ü"]},
        "Windows-1252",
    ),
    "Windows-1252 quotes": (b"a,b\n1,\x93x\x94\n", {"a": [1], "b": ["“x”"]}, "Windows-1252"),
    "UTF-8 beyond the 16 bits": ("a,b\n1,😀\n".encode(), {"a": [1], "b": ["😀"]}, ""),
    "semicolons": (b"a;b\n1;x\n2;y\n", {"a": [1, 2], "b": ["x", "y"]}, "semicolons"),
    "tabs": (b"a\tb\n1\tx y\n", {"a": [1], "b": ["x y"]}, "tabs"),
    "bars": (b"a|b\n1|2\n", {"a": [1], "b": [2]}, "bars"),
    "the line sep=": (b"sep=;\na;b\n1;2\n", {"a": [1], "b": [2]}, ""),
    "commas in the cells of semicolons": (
        b"a;b\nx, y;1\nz, w;2\n",
        {"a": ["x, y", "z, w"], "b": [1, 2]},
        "",
    ),
    "blanks": (
        b" 1.5  2   3\n 2.5  30  4\n",
        {"column_1": [1.5, 2.5], "column_2": [2, 30], "column_3": [3, 4]},
        "blanks",
    ),
    "decimal commas": (
        b"a;b\n1,5;2\n-2,25;3\n",
        {"a": [1.5, -2.25], "b": [2, 3]},
        "decimal commas",
    ),
    "decimal commas without a header": (
        b"1,5;2,5\n3,5;4,5\n",
        {"column_1": [1.5, 3.5], "column_2": [2.5, 4.5]},
        "decimal commas",
    ),
    "points between thousands": (
        b"a;b\n1.234,5;x\n12.345.678,25;y\n",
        {"a": [1234.5, 12345678.25], "b": ["x", "y"]},
        "decimal commas",
    ),
    "commas between thousands": (
        b'a,b\n"1,234",x\n"2,345,678",y\n',
        {"a": [1234, 2345678], "b": ["x", "y"]},
        "thousands",
    ),
    "commas between thousands and decimals": (
        b"a;b\n1,234.5;x\n12;y\n",
        {"a": [1234.5, 12], "b": ["x", "y"]},
        "thousands",
    ),
    "blanks between thousands": (
        "a;b\n1 234;x\n12\u00a0345,5;y\n".encode(),
        {"a": [1234, 12345.5], "b": ["x", "y"]},
        "decimal commas",
    ),
    "three digits after a comma, decided by another column": (
        b"a;b\n1,234;0,5\n2,345;1,25\n",
        {"a": [1.234, 2.345], "b": [0.5, 1.25]},
        "decimal commas",
    ),
    "duplicate names": (b"a,a,a_2\n1,2,3\n", {"a": [1], "a_3": [2], "a_2": [3]}, "second 'a'"),
    "an empty name": (b",b\n0,2\n1,3\n", {"column_1": [0, 1], "b": [2, 3]}, "no name"),
    "names in quotes, with commas": (b'"a,x","b"\n1,2\n', {"a,x": [1], "b": [2]}, ""),
    "blanks around names": (b" a , b\n1,2\n", {"a": [1], "b": [2]}, ""),
    "years as names": (
        b"country,1990,1991\nDE,1,2\n",
        {"country": ["DE"], "1990": [1], "1991": [2]},
        "",
    ),
    "no header, numbers": (
        b"1,2\n3,4\n",
        {"column_1": [1, 3], "column_2": [2, 4]},
        "no line of names",
    ),
    "no header, words": (
        b"ham\tgo there\nspam\twin now\nham\tok\n",
        {"column_1": ["ham", "spam", "ham"], "column_2": ["go there", "win now", "ok"]},
        "no line of names",
    ),
    "a header of words over words": (
        b"label,text\nham,ok\nspam,win\nham,go\n",
        {"label": ["ham", "spam", "ham"], "text": ["ok", "win", "go"]},
        "names of the columns",
    ),
    "20 digits": (
        b"id,b\n12345678901234567890,1\n12345678901234567891,2\n",
        {"id": ["12345678901234567890", "12345678901234567891"], "b": [1, 2]},
        "stays text",
    ),
    "2^53 + 1": (
        b"id,b\n9007199254740993,1\n",
        {"id": ["9007199254740993"], "b": [1]},
        "stays text",
    ),
    "2^53": (b"id,b\n9007199254740992,1\n", {"id": [9007199254740992], "b": [1]}, ""),
    "leading zeros": (
        b"zip,b\n01234,1\n56789,2\n",
        {"zip": ["01234", "56789"], "b": [1, 2]},
        "stays text",
    ),
    "a leading zero in the first cell": (
        b"007,1\n8,2\n",
        {"column_1": ["007", "8"], "column_2": [1, 2]},
        "stays text",
    ),
    "a leading zero in the last cell": (
        b"a,b\n1,5\n2,07",
        {"a": [1, 2], "b": ["5", "07"]},
        "stays text",
    ),
    "a leading zero behind a minus": (
        b"a,b\n1,-07\n2,3\n4,5\n",
        {"a": [1, 2, 4], "b": ["-07", "3", "5"]},
        "stays text",
    ),
    "a plus sign in the last cell": (b"a,b\n1,5\n2,+7", {"a": [1, 2], "b": [5, 7]}, ""),
    "an underscore in the last cell": (b"a,b\n1,5\n2,1_0", {"a": [1, 2], "b": ["5", "1_0"]}, ""),
    "numbers beyond 2^53 that have a point": (
        b"a,b\n1,12345678901234567890.5\n2,1e300\n",
        {"a": [1, 2], "b": [12345678901234567890.5, 1e300]},
        "",
    ),
    "points and commas before decimals": (
        b"a;b\n0.123;1\n1,5;2\n",
        {"a": ["0.123", "1,5"], "b": [1, 2]},
        "",
    ),
    "codes with a blank": (b"a,b\n0 123,1\n1 456,2\n", {"a": ["0 123", "1 456"], "b": [1, 2]}, ""),
    "failed cells of a spreadsheet": (
        b"a,b\n#DIV/0!,1\n2,#N/A\n",
        {"a": [NO, 2], "b": [1, NO]},
        "read as missing",
    ),
    "underscores": (b"a,b\n1_000,1\n2_000,2\n", {"a": ["1_000", "2_000"], "b": [1, 2]}, ""),
    "plus signs": (b"a,b\n+1,1\n+2.5,2\n", {"a": [1, 2.5], "b": [1, 2]}, ""),
    "exponents": (
        b"a,b\n1e5,1\n2.5E-3,2\n-.5e+1,3\n5.,4\n",
        {"a": [1e5, 0.0025, -5, 5], "b": [1, 2, 3, 4]},
        "",
    ),
    "hexadecimals are words": (b"a,b\n0x10,1\n0x11,2\n", {"a": ["0x10", "0x11"], "b": [1, 2]}, ""),
    "smallest and largest numbers": (
        b"a,b\n5e-324,1\n1.7976931348623157e308,2\n",
        {"a": [5e-324, 1.7976931348623157e308], "b": [1, 2]},
        "",
    ),
    "infinities": (
        b"a,b\n1,inf\n2,-Infinity\n3,1\n",
        {"a": [1, 2, 3], "b": [math.inf, -math.inf, 1]},
        "infinite",
    ),
    "marks of missing values": (
        b"a,b,c\n1,NA,x\n?,2,null\n-,nan,N/A\n4,,-\n",
        {"a": [1, NO, NO, 4], "b": [NO, 2, NO, NO], "c": ["x", NO, NO, "-"]},
        "read as missing",
    ),
    "blank cells": (b"a,b\n1, \n2,5\n", {"a": [1, 2], "b": [NO, 5]}, ""),
    "blanks around numbers": (b"a, b\n1 ,  2\n 3,\t4\n", {"a": [1, 3], "b": [2, 4]}, ""),
    "an empty column": (b"a,b,c\n1,,x\n2,,y\n", {"a": [1, 2], "b": [NO, NO], "c": ["x", "y"]}, ""),
    "dates": (
        b"d,b\n2020-01-31,1\n2020-02-29,2\n",
        {"d": [date("2020-01-31"), date("2020-02-29")], "b": [1, 2]},
        "",
    ),
    "months": (
        b'd,b\n"1949-01",1\n"1949-12",2\n',
        {"d": [date("1949-01"), date("1949-12")], "b": [1, 2]},
        "",
    ),
    "times": (
        b"d,b\n2020-01-31T10:30:05.25,1\n2020-02-01 00:00,2\n",
        {"d": [date("2020-01-31T10:30:05.25"), date("2020-02-01")], "b": [1, 2]},
        "",
    ),
    "times with their zone": (
        b"d,b\n2020-01-01T10:00:00+02:00,1\n2020-01-01T10:00:00Z,2\n",
        {"d": [date("2020-01-01T08:00"), date("2020-01-01T10:00")], "b": [1, 2]},
        "UTC",
    ),
    "day first": (
        b"d,b\n31/01/2020,1\n01/02/2020,2\n",
        {"d": [date("2020-01-31"), date("2020-02-01")], "b": [1, 2]},
        "day first",
    ),
    "month first": (
        b"d,b\n01/31/2020,1\n02/01/2020,2\n",
        {"d": [date("2020-01-31"), date("2020-02-01")], "b": [1, 2]},
        "month first",
    ),
    "day and month that may be either": (
        b"d,b\n01/02/2020,1\n03/04/2020,2\n",
        {"d": ["01/02/2020", "03/04/2020"], "b": [1, 2]},
        "stay text",
    ),
    "a day that is not in the calendar": (
        b"d,b\n2020-02-30,1\n2020-02-01,2\n",
        {"d": ["2020-02-30", "2020-02-01"], "b": [1, 2]},
        "calendar",
    ),
    "percent signs": (b"a,b\n5%,1\n6.5 %,2\n", {"a": [5, 6.5], "b": [1, 2]}, "in %"),
    "amounts of money": (
        b'a,b\n$5,1\n"$1,200.50",2\n-$3,3\n',
        {"a": [5, 1200.5, -3], "b": [1, 2, 3]},
        "in $",
    ),
    "quoted newline": (b'a,b\n1,"x\ny"\n2,z\n', {"a": [1, 2], "b": ["x\ny", "z"]}, ""),
    "quoted delimiter": (b'a,b\n1,"x,y"\n2,"z"\n', {"a": [1, 2], "b": ["x,y", "z"]}, ""),
    "doubled quotes": (b'a,b\n1,"x ""y"" z"\n2,""""\n', {"a": [1, 2], "b": ['x "y" z', '"']}, ""),
    "quoted nothing": (b'a,b\n1,""\n2,x\n', {"a": [1, 2], "b": [NO, "x"]}, ""),
    "a quote within a cell": (
        b'a,b\n1,5" pipe\n2,3" pipe\n',
        {"a": [1, 2], "b": ['5" pipe', '3" pipe']},
        "",
    ),
    "blanks before quotes": (
        b'"a", "b"\n1, "x, y"\n2, "z"\n',
        {"a": [1, 2], "b": ["x, y", "z"]},
        "",
    ),
    "quotes that enclose nothing, with tabs": (
        b'ham\t"hello" she said\nham\t"bye\nspam\twin\n',
        {"column_1": ["ham", "ham", "spam"], "column_2": ['"hello" she said', '"bye', "win"]},
        "plain characters",
    ),
    "quotes that swallow a line of tabs": (
        b'ham\t"hello\nspam\twin"\nham\tok\n',
        {"column_1": ["ham", "spam", "ham"], "column_2": ['"hello', 'win"', "ok"]},
        "plain characters",
    ),
    "separators of Unicode in a cell": (
        "a,b\n1,x\u2028y\x0bz\x85w\n".encode(),
        {"a": [1], "b": ["x\u2028y\x0bz\x85w"]},
        "",
    ),
    "blank lines": (b"\na,b\n\n1,2\n\n3,4\n\n\n", {"a": [1, 3], "b": [2, 4]}, "2 blank lines"),
    "a blank line in the only column": (b"x\n1\n\n3\n\n", {"x": [1, NO, 3]}, "counts as missing"),
    "comments": (
        b"# made by x, y\na,b\n1,2\n# half\n3,4\n",
        {"a": [1, 3], "b": [2, 4]},
        "comment line",
    ),
    "a header behind a hash": (
        b"#id,name\n1,x\n2,y\n",
        {"id": [1, 2], "name": ["x", "y"]},
        "names its columns",
    ),
    "a hash in the first cell": (b"a,b\n#1,2\n#3,4\n", {"a": ["#1", "#3"], "b": [2, 4]}, ""),
    "a title above": (b"Report of 2020\na,b\n1,2\n", {"a": [1], "b": [2]}, "1 title line above"),
    "titles, a blank line and a comment above": (
        b'Sales\n"North, and\nSouth"\n\n# in euros\na,b\n1,2\n3,4\n',
        {"a": [1, 3], "b": [2, 4]},
        "3 title lines above the table left out: Sales / North, and South / # in euros.",
    ),
    "a title with delimiters of a spreadsheet": (
        b"Report of 2020,,\r\na,b,c\r\n1,2,x\r\n3,4,y\r\n",
        {"a": [1, 3], "b": [2, 4], "c": ["x", "y"]},
        "1 title line above the table left out: Report of 2020.",
    ),
    "names that are missing but for one": (
        b",,c\n1,2,x\n3,4,y\n",
        {"column_1": [1, 3], "column_2": [2, 4], "c": ["x", "y"]},
        "column 1 has no name",
    ),
    "years of two digits": (
        b"a,b\n31.12.99,1\n01.02.20,2\n",
        {"a": ["31.12.99", "01.02.20"], "b": [1, 2]},
        "years of two digits, so that they stay text",
    ),
    "one row": (b"a,b\n1,x\n", {"a": [1], "b": ["x"]}, ""),
    "one column": (b"a\n1\n2\n", {"a": [1, 2]}, ""),
    "a row of nothing": (b"a,b\n1,2\n,\n3,4\n", {"a": [1, NO, 3], "b": [2, NO, 4]}, ""),
}

# name: (bytes, words of the error: the place first)
BAD = {
    "short row": (b"a,b,c\n1,2,3\n4,5\n6,7,8\n", "line 3: 2 cells.* has 3: column 'c' has none"),
    "long row": (b"a,b\n1,2\n3,4,5\n", "line 3: 3 cells.* has 2: '5' after column 'b'"),
    "trailing comma on one line": (b"a,b\n1,2\n3,4,\n", "line 3: 3 cells.* after column 'b'"),
    "trailing comma below the header": (b"a,b\n1,2,\n3,4,\n", "line 2: 3 cells.* after column 'b'"),
    "short row after quoted newlines": (
        b'a,b\n1,"x\n\ny"\n2\n',
        "line 5: 1 cell .*column 'b' has none",
    ),
    "short and long row": (b"a,b,c\n1,2\n3,4,5,6\n", "line 2: 2 cells.*column 'c'"),
    "cut last line": (b"a,b,c\n1,2,3\n4,5", "line 3: .*column 'c'.* cut there"),
    "cut inside quotes": (b'a,b\n1,x\n2,"y\n', "line 3, column 2: a quote mark opens"),
    "open quote": (b'a,b\n1,"x\n2,y\n3,"z"\n', "line 2, column 2: after the quote mark"),
    "text after a quote": (b'a,b\n1,"x"y\n', "line 2, column 2: after the quote mark"),
    "quotes behind backslashes": (
        b'a,b\n1,"x \\"y\\" z"\n',
        "line 2, column 2: after the quote mark.*twice, not behind a backslash",
    ),
    "a NUL": (b"a,b\n1,\x002\n", "line 2, byte 6: a NUL"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a picture, not a table"),
    "two encodings": ("a,b\né,1\n".encode() + b"\xe9,2\n", "line 3: byte 0xe9 is not UTF-8"),
    "no encoding": (b"a,b\n\x81,2\n", "line 2: byte 0x81"),
    "UTF-16, cut": ("a,b\n1,é\n".encode("utf-16")[:-1], "not utf-16 text"),
    "1e400": (b"a,b\n1,1e400\n2,3\n", "line 2, column 'b': 1e400 is beyond"),
    "three digits after a comma": (
        b"a;b\n1,234;x\n2,345;y\n",
        "line 2, column 'a': '1,234' can be read",
    ),
    "points where the decimals have commas": (
        b"a;b\n1.234;0,5\n2.345;0,7\n",
        "line 2, column 'a': '1.234' can be read",
    ),
    "a word late among numbers": (
        b"a,b\n" + b"1,2\n" * 100 + b"x,3\n",
        "line 102, column 'a': 'x' is not a number",
    ),
    "a word late among dates": (
        b"a,b\n" + b"2020-01-01,2\n" * 100 + b"x,3\n",
        "line 102, column 'a': 'x' is not a date",
    ),
    "nothing": (b"", "no table"),
    "blank lines only": (b"\n\n \n", "no table"),
    "a byte order mark only": (b"\xef\xbb\xbf", "no table"),
    "comments only": (b"# a\n# b\n", "no table"),
    "header only": (b"a,b\n", "no rows"),
    "header again": (b"a,b\n1,2\na,b\n3,4\n", "line 3: the names of the columns come again"),
    "header again, names that come twice": (
        b"a,a\n1,2\na,a\n",
        "line 3: the names of the columns come again",
    ),
    "a comment with cells": (b"a,b,c\n1,2,3\n# x,y\n", "line 3: 2 cells"),
    "a title above a table of words": (b"words\nred,blue\nbig,small\n", "line 2: 2 cells.* has 1"),
    "a title above an uneven table": (b"Report\na,b\n1,2\n3,4,5\n", "line 2: 2 cells.* has 1"),
}
