"""Machine code that numbers the different texts of a column, by a hash table, as LLVM text."""

from .cut_rows import bounds


def word(name: str, place: str, n: str) -> str:
    """%name: the n bytes at a place as a number, of 8 at most; those beyond are 0."""
    return f"""
  %{name}_all = load i64, ptr {place}, align 1
  %{name}_is_part = icmp slt i64 {n}, 8
  %{name}_bits = shl i64 {n}, 3
  %{name}_one = shl i64 1, %{name}_bits
  %{name}_mask = sub i64 %{name}_one, 1
  %{name}_part = and i64 %{name}_all, %{name}_mask
  %{name} = select i1 %{name}_is_part, i64 %{name}_part, i64 %{name}_all"""


TEXT = f"""
define internal i64 @hash(ptr %p, i64 %n) #0 {{
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %more ]
  %h = phi i64 [ %n, %entry ], [ %h3, %more ]
  %left = sub i64 %n, %i
  %is_more = icmp sgt i64 %left, 0
  br i1 %is_more, label %more, label %done
more:
  %here = getelementptr i8, ptr %p, i64 %i{word("w", "%here", "%left")}
  %h1 = xor i64 %h, %w
  %h2 = mul i64 %h1, -7046029254386353131
  %turned = lshr i64 %h2, 32
  %h3 = xor i64 %h2, %turned
  %i1 = add i64 %i, 8
  br label %next
done:
  ret i64 %h
}}

define internal i1 @equal(ptr %p, ptr %q, i64 %n) #0 {{
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %more ]
  %left = sub i64 %n, %i
  %is_more = icmp sgt i64 %left, 0
  br i1 %is_more, label %more, label %yes
more:
  %p_here = getelementptr i8, ptr %p, i64 %i
  %q_here = getelementptr i8, ptr %q, i64 %i{word("a", "%p_here", "%left")}{word("b", "%q_here", "%left")}
  %i1 = add i64 %i, 8
  %same = icmp eq i64 %a, %b
  br i1 %same, label %next, label %no
yes:
  ret i1 true
no:
  ret i1 false
}}

; Codes of a column's cells from row `first` on. known[0]: different texts so far; code c has hash, address and length
; at hashes[c], addresses[c], lengths[c]. table: mask + 1 places, each 0 or a code + 1. Gives the row at which it
; stopped: the last, or one before which half of the table is full.
define i64 @pellucid_codes(ptr %data, ptr %begins, ptr %ends, i64 %first, i64 %rows, i64 %width, ptr %codes,
                           ptr %table, i64 %mask, ptr %known, ptr %hashes, ptr %addresses, ptr %lengths) #0 {{
entry:
  %most = lshr i64 %mask, 1
  br label %cells

cells:
  %r = phi i64 [ %first, %entry ], [ %r1, %coded ]
  %more = icmp slt i64 %r, %rows
  br i1 %more, label %room, label %end

room:
  %n = load i64, ptr %known
  %has_room = icmp slt i64 %n, %most
  br i1 %has_room, label %cell, label %end

cell:{bounds()}
  %length = sub i64 %e, %s
  %text = getelementptr i8, ptr %data, i64 %s
  %h = call i64 @hash(ptr %text, i64 %length)
  br label %probe

probe:
  %from = phi i64 [ %h, %cell ], [ %following, %other ]
  %slot = and i64 %from, %mask
  %following = add i64 %slot, 1
  %slot_place = getelementptr i32, ptr %table, i64 %slot
  %there = load i32, ptr %slot_place
  %is_free = icmp eq i32 %there, 0
  br i1 %is_free, label %new, label %compare

compare:
  %there64 = zext i32 %there to i64
  %code = sub i64 %there64, 1
  %hash_place = getelementptr i64, ptr %hashes, i64 %code
  %hash_there = load i64, ptr %hash_place
  %same_hash = icmp eq i64 %hash_there, %h
  br i1 %same_hash, label %longer, label %other
longer:
  %length_place = getelementptr i64, ptr %lengths, i64 %code
  %length_there = load i64, ptr %length_place
  %same_length = icmp eq i64 %length_there, %length
  br i1 %same_length, label %bytes, label %other
bytes:
  %address_place = getelementptr i64, ptr %addresses, i64 %code
  %address = load i64, ptr %address_place
  %text_there = inttoptr i64 %address to ptr
  %is_same = call i1 @equal(ptr %text, ptr %text_there, i64 %length)
  br i1 %is_same, label %coded, label %other
other:
  br label %probe

new:
  %hash_new = getelementptr i64, ptr %hashes, i64 %n
  %address_new = getelementptr i64, ptr %addresses, i64 %n
  %length_new = getelementptr i64, ptr %lengths, i64 %n
  %text_address = ptrtoint ptr %text to i64
  store i64 %h, ptr %hash_new
  store i64 %text_address, ptr %address_new
  store i64 %length, ptr %length_new
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %known
  %n32 = trunc i64 %n1 to i32
  store i32 %n32, ptr %slot_place
  br label %coded

coded:
  %c = phi i64 [ %code, %bytes ], [ %n, %new ]
  %c32 = trunc i64 %c to i32
  %code_place = getelementptr i32, ptr %codes, i64 %r
  store i32 %c32, ptr %code_place
  %r1 = add i64 %r, 1
  br label %cells

end:
  ret i64 %r
}}

; Puts codes 0 to n into an empty table.
define i64 @pellucid_fill(ptr %table, i64 %mask, ptr %hashes, i64 %n) #0 {{
entry:
  br label %next
next:
  %c = phi i64 [ 0, %entry ], [ %c1, %free ]
  %more = icmp slt i64 %c, %n
  br i1 %more, label %put, label %done
put:
  %hash_place = getelementptr i64, ptr %hashes, i64 %c
  %h = load i64, ptr %hash_place
  br label %probe
probe:
  %from = phi i64 [ %h, %put ], [ %following, %probe ]
  %slot = and i64 %from, %mask
  %following = add i64 %slot, 1
  %slot_place = getelementptr i32, ptr %table, i64 %slot
  %there = load i32, ptr %slot_place
  %is_free = icmp eq i32 %there, 0
  br i1 %is_free, label %free, label %probe
free:
  %c1 = add i64 %c, 1
  %c32 = trunc i64 %c1 to i32
  store i32 %c32, ptr %slot_place
  br label %next
done:
  ret i64 %n
}}
"""
