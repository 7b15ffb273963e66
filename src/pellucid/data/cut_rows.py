"""Machine code that finds where the cells of regular delimited text begin and end, as LLVM text.

64 bytes at a time become masks of delimiters, ends of lines and quote marks; what lies between quote marks is the
running parity of these (Langdale and Lemire 2019, "Parsing Gigabytes of JSON per Second", section 3.1)."""


def same(name: str, c: str) -> str:
    """%name: a mask of the 64 %bytes that are c."""
    return f"""
  %{name}_one = insertelement <64 x i8> poison, i8 {c}, i64 0
  %{name}_all = shufflevector <64 x i8> %{name}_one, <64 x i8> poison, <64 x i32> zeroinitializer
  %{name}_are = icmp eq <64 x i8> %bytes, %{name}_all
  %{name} = bitcast <64 x i1> %{name}_are to i64"""


def bounds() -> str:
    """%s and %e: where the cell begins and ends that row %r has in the column of %begins and %ends."""
    return """
  %k = mul i64 %r, %width
  %s_place = getelementptr i32, ptr %begins, i64 %k
  %e_place = getelementptr i32, ptr %ends, i64 %k
  %s32 = load i32, ptr %s_place
  %e32 = load i32, ptr %e_place
  %s = sext i32 %s32 to i64
  %e = sext i32 %e32 to i64"""


# Every number that changes is an alloca: LLVM's first pass (sroa) makes registers of them.
TEXT = f"""
define internal i1 @edge(i8 %c, i8 %delimiter, i8 %quote) #0 {{
  %a = icmp eq i8 %c, %delimiter
  %b = icmp eq i8 %c, 10
  %d = icmp eq i8 %c, 13
  %e = icmp eq i8 %c, %quote
  %ab = or i1 %a, %b
  %de = or i1 %d, %e
  %any = or i1 %ab, %de
  ret i1 %any
}}

; Rows of the first n bytes (a multiple of 64), which begin with a row; -1 where they are not regular.
; begins, ends of the cells, one row after the other; lines[r]: ends of lines up to the end of row r, quoted ones too;
; used: the bytes of whole rows. eol: bytes that end a line.
define i64 @pellucid_cut(ptr %data, i64 %n, i8 %delimiter, i8 %quote, i64 %eol, i64 %width,
                         ptr %begins, ptr %ends, ptr %lines, ptr %used) #0 {{
entry:
  %at = alloca i64
  %bits = alloca i64
  %cells = alloca i64
  %due = alloca i64
  %rows = alloca i64
  %line = alloca i64
  %begin = alloca i64
  %open = alloca i64
  %within = alloca i64
  store i64 0, ptr %at
  store i64 0, ptr %cells
  store i64 %width, ptr %due
  store i64 0, ptr %rows
  store i64 0, ptr %line
  store i64 0, ptr %begin
  store i64 0, ptr %open
  store i64 0, ptr %used
  %less = sub i64 %eol, 1
  br label %blocks

blocks:
  %p = load i64, ptr %at
  %more = icmp slt i64 %p, %n
  br i1 %more, label %block, label %end

block:
  %here = getelementptr i8, ptr %data, i64 %p
  %bytes = load <64 x i8>, ptr %here, align 1
  {same("delimiters", "%delimiter")}{same("feeds", "10")}{same("quotes", "%quote")}
  %was_open = load i64, ptr %open
  %quoted = or i64 %quotes, %was_open
  %any_quoted = icmp ne i64 %quoted, 0
  store i64 0, ptr %within
  br i1 %any_quoted, label %quoting, label %found

quoting: ; within: bit i, whether byte i lies inside of a quoted cell, or opens it: how many marks came, modulo two
  %x1 = shl i64 %quotes, 1
  %y1 = xor i64 %quotes, %x1
  %x2 = shl i64 %y1, 2
  %y2 = xor i64 %y1, %x2
  %x4 = shl i64 %y2, 4
  %y4 = xor i64 %y2, %x4
  %x8 = shl i64 %y4, 8
  %y8 = xor i64 %y4, %x8
  %x16 = shl i64 %y8, 16
  %y16 = xor i64 %y8, %x16
  %x32 = shl i64 %y16, 32
  %y32 = xor i64 %y16, %x32
  %inside = xor i64 %y32, %was_open
  store i64 %inside, ptr %within
  %now_open = ashr i64 %inside, 63
  store i64 %now_open, ptr %open
  ; A mark that opens stands behind the edge of a cell, one that closes before one. A mark that is written twice
  ; closes and opens: beside a mark both are right.
  %outside = xor i64 %inside, -1
  %opens = and i64 %quotes, %inside
  %closes = and i64 %quotes, %outside{same("returns", "13")}
  %edges1 = or i64 %delimiters, %feeds
  %edges2 = or i64 %quotes, %returns
  %edges = or i64 %edges1, %edges2
  %is_first = icmp eq i64 %p, 0
  %before_at = sub i64 %p, 1
  %before_in = select i1 %is_first, i64 0, i64 %before_at
  %before_place = getelementptr i8, ptr %data, i64 %before_in
  %before = load i8, ptr %before_place
  %before_edge = call i1 @edge(i8 %before, i8 %delimiter, i8 %quote)
  %left = or i1 %is_first, %before_edge
  %left_bit = zext i1 %left to i64
  %after_place = getelementptr i8, ptr %here, i64 64
  %after = load i8, ptr %after_place
  %after_edge = call i1 @edge(i8 %after, i8 %delimiter, i8 %quote)
  %right = select i1 %after_edge, i64 -9223372036854775808, i64 0
  %edges_up = shl i64 %edges, 1
  %edges_down = lshr i64 %edges, 1
  %behind = or i64 %edges_up, %left_bit
  %ahead = or i64 %edges_down, %right
  %not_behind = xor i64 %behind, -1
  %not_ahead = xor i64 %ahead, -1
  %wrong1 = and i64 %opens, %not_behind
  %wrong2 = and i64 %closes, %not_ahead
  %wrong = or i64 %wrong1, %wrong2
  %is_wrong = icmp ne i64 %wrong, 0
  br i1 %is_wrong, label %irregular, label %found

found:
  %inner = load i64, ptr %within
  %outer = xor i64 %inner, -1
  %parting = and i64 %delimiters, %outer
  %first_bits = or i64 %parting, %feeds
  store i64 %first_bits, ptr %bits
  br label %signs

signs:
  %left_bits = load i64, ptr %bits
  %none = icmp eq i64 %left_bits, 0
  br i1 %none, label %next_block, label %sign

sign:
  %i = call i64 @llvm.cttz.i64(i64 %left_bits, i1 true)
  %minus = sub i64 %left_bits, 1
  %rest = and i64 %left_bits, %minus
  store i64 %rest, ptr %bits
  %place = add i64 %p, %i
  %shifted = lshr i64 %feeds, %i
  %is_feed = trunc i64 %shifted to i1
  br i1 %is_feed, label %feed, label %cell

feed:
  %line0 = load i64, ptr %line
  %line1 = add i64 %line0, 1
  store i64 %line1, ptr %line
  %deep = lshr i64 %inner, %i
  %is_inner = trunc i64 %deep to i1
  br i1 %is_inner, label %signs, label %cell

cell:
  %cut_short = select i1 %is_feed, i64 %less, i64 0
  %e = sub i64 %place, %cut_short
  %s = load i64, ptr %begin
  %following = add i64 %place, 1
  store i64 %following, ptr %begin
  %first_place = getelementptr i8, ptr %data, i64 %s
  %first = load i8, ptr %first_place
  %is_marked = icmp eq i8 %first, %quote
  %longer = icmp slt i64 %s, %e
  %is_quoted = and i1 %is_marked, %longer
  %mark = zext i1 %is_quoted to i64
  %bare_s = add i64 %s, %mark
  %bare_e = sub i64 %e, %mark
  %k = load i64, ptr %cells
  %s_place = getelementptr i32, ptr %begins, i64 %k
  %e_place = getelementptr i32, ptr %ends, i64 %k
  %s32 = trunc i64 %bare_s to i32
  %e32 = trunc i64 %bare_e to i32
  store i32 %s32, ptr %s_place
  store i32 %e32, ptr %e_place
  %k1 = add i64 %k, 1
  store i64 %k1, ptr %cells
  br i1 %is_feed, label %row, label %signs

row:
  %wanted = load i64, ptr %due
  %fits = icmp eq i64 %k1, %wanted
  br i1 %fits, label %whole, label %irregular

whole:
  %due1 = add i64 %wanted, %width
  store i64 %due1, ptr %due
  %r = load i64, ptr %rows
  %r1 = add i64 %r, 1
  store i64 %r1, ptr %rows
  %line_place = getelementptr i64, ptr %lines, i64 %r
  %line_now = load i64, ptr %line
  store i64 %line_now, ptr %line_place
  store i64 %following, ptr %used
  br label %signs

next_block:
  %p1 = add i64 %p, 64
  store i64 %p1, ptr %at
  br label %blocks

irregular:
  ret i64 -1
end:
  %found_rows = load i64, ptr %rows
  ret i64 %found_rows
}}

declare i64 @llvm.cttz.i64(i64, i1)
"""
