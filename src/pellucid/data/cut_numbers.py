"""Machine code that reads decimal numbers as the nearest float64, as LLVM text.

The digits are a whole number of 64 bits, multiplied by a power of ten of 128 (Lemire 2021, "Number Parsing at a
Gigabyte per Second", sections 5 to 8). What that does not decide, one number in many millions, is left to Python."""

import functools

import numpy as np

from .cut_rows import bounds

FIRST, LAST = -342, 308  # powers of ten: the others give 0 or infinity
EXACT = 22  # up to this power of ten float64 is exact
MOST_DIGITS = 19  # of which every number fits into 64 bits


@functools.cache
def powers() -> np.ndarray:
    """(LAST - FIRST + 1, 3) uint64 for each power of ten: the upper and the lower half of its first 128 bits, and the
    bits of 10^|power| as float64, which is that exactly for powers up to EXACT."""
    out = np.zeros((LAST - FIRST + 1, 3), np.uint64)
    for i, ten in enumerate(range(FIRST, LAST + 1)):
        if ten >= 0:
            first = (10**ten << 128) >> (10**ten).bit_length()
        else:
            divisor = 10**-ten
            first = (1 << 127 + divisor.bit_length()) // divisor
        out[i, :2] = first >> 64, first & (2**64 - 1)
        out[i, 2] = np.float64(10.0 ** min(abs(ten), EXACT)).view(np.uint64)
    return out


def sign(name: str, at: str) -> str:
    """%name: the sign of %data at `at`, 0 at %e, where the cell ends."""
    return f"""
  %{name}_within = icmp slt i64 {at}, %e
  %{name}_place = getelementptr i8, ptr %data, i64 {at}
  %{name}_there = load i8, ptr %{name}_place
  %{name} = select i1 %{name}_within, i8 %{name}_there, i8 0"""


def digits(name: str, number: str, then: str) -> str:
    """Goes on with the number by the digits from %at to %e, up to eight at once; moves %at behind them.

    Eight bytes less those of "00000000" are digits up to the first that is more than 9. They are pushed up, so that
    zeros stand before them, and joined in pairs, pairs of pairs, and halves (Lemire 2021, section 4)."""
    return f"""
  br label %{name}_next
{name}_next:
  %{name}_p = load i64, ptr %at
  %{name}_place = getelementptr i8, ptr %data, i64 %{name}_p
  %{name}_bytes = load i64, ptr %{name}_place, align 1
  %{name}_less = xor i64 %{name}_bytes, {0x3030303030303030}
  %{name}_sum = add i64 %{name}_less, {0x7676767676767676}
  %{name}_above = or i64 %{name}_sum, %{name}_less
  %{name}_tops = and i64 %{name}_above, {0x8080808080808080 - 2**64}
  %{name}_bits = call i64 @llvm.cttz.i64(i64 %{name}_tops, i1 false)
  %{name}_n = lshr i64 %{name}_bits, 3
  %{name}_left = sub i64 %e, %{name}_p
  %{name}_k = call i64 @llvm.umin.i64(i64 %{name}_n, i64 %{name}_left)
  %{name}_k8 = shl i64 %{name}_k, 3
  %{name}_by = sub i64 64, %{name}_k8
  %{name}_is_none = icmp eq i64 %{name}_k, 0
  %{name}_up = shl i64 %{name}_less, %{name}_by
  %{name}_t = select i1 %{name}_is_none, i64 0, i64 %{name}_up
  %{name}_t10 = mul i64 %{name}_t, 10
  %{name}_t8 = lshr i64 %{name}_t, 8
  %{name}_pairs = add i64 %{name}_t10, %{name}_t8
  %{name}_even = and i64 %{name}_pairs, {0x000000FF000000FF}
  %{name}_shift = lshr i64 %{name}_pairs, 16
  %{name}_odd = and i64 %{name}_shift, {0x000000FF000000FF}
  %{name}_fours1 = mul i64 %{name}_even, {1000000 << 32 | 100}
  %{name}_fours2 = mul i64 %{name}_odd, {10000 << 32 | 1}
  %{name}_fours = add i64 %{name}_fours1, %{name}_fours2
  %{name}_value = lshr i64 %{name}_fours, 32
  %{name}_ten_place = getelementptr i64, ptr @tens, i64 %{name}_k
  %{name}_ten = load i64, ptr %{name}_ten_place
  %{name}_m = load i64, ptr {number}
  %{name}_m10 = mul i64 %{name}_m, %{name}_ten
  %{name}_m1 = add i64 %{name}_m10, %{name}_value
  store i64 %{name}_m1, ptr {number}
  %{name}_p1 = add i64 %{name}_p, %{name}_k
  store i64 %{name}_p1, ptr %at
  %{name}_full = icmp eq i64 %{name}_k, 8
  br i1 %{name}_full, label %{name}_next, label %{then}
{then}:"""


# Every number that changes is an alloca: LLVM's first pass (sroa) makes registers of them.
TEXT = f"""
@tens = internal constant [9 x i64] [{", ".join(f"i64 {10**k}" for k in range(9))}]

; Column of cells (every width-th of begins, ends) as doubles. Where a cell is empty, missing is 1 and the value 0;
; where it is no plain number, or its nearest double is not found here, the row goes to odd. Gives the number of these.
; points: set to 1 where a number has a decimal point.
define i64 @pellucid_numbers(ptr %data, ptr %begins, ptr %ends, i64 %rows, i64 %width, ptr %powers,
                             ptr %values, ptr %missing, ptr %odd, ptr %points) #0 {{
entry:
  %row = alloca i64
  %n_odd = alloca i64
  %at = alloca i64
  %m = alloca i64
  %exponent = alloca i64
  %fraction = alloca i64
  %hi = alloca i64
  %lo = alloca i64
  store i64 0, ptr %row
  store i64 0, ptr %n_odd
  br label %cells

cells:
  %r = load i64, ptr %row
  %more = icmp slt i64 %r, %rows
  br i1 %more, label %cell, label %end

cell:{bounds()}
  %value_place = getelementptr double, ptr %values, i64 %r
  %missing_place = getelementptr i8, ptr %missing, i64 %r
  %r1 = add i64 %r, 1
  store i64 %r1, ptr %row
  store double 0.0, ptr %value_place
  %is_empty = icmp sge i64 %s, %e
  %empty8 = zext i1 %is_empty to i8
  store i8 %empty8, ptr %missing_place
  br i1 %is_empty, label %cells, label %whole

whole:{sign("c0", "%s")}
  %negative = icmp eq i8 %c0, 45
  %skip = zext i1 %negative to i64
  %from = add i64 %s, %skip
  store i64 %from, ptr %at
  store i64 0, ptr %m
  store i64 0, ptr %exponent
  store i64 0, ptr %fraction{digits("whole", "%m", "whole_counted")}
  %whole_end = load i64, ptr %at
  %n_whole = sub i64 %whole_end, %from{sign("lead", "%from")}
  %is_zero = icmp eq i8 %lead, 48
  %several = icmp sgt i64 %n_whole, 1
  %is_code = and i1 %is_zero, %several
  br i1 %is_code, label %is_odd, label %point

point:{sign("c1", "%whole_end")}
  %has_point = icmp eq i8 %c1, 46
  br i1 %has_point, label %decimals, label %counted

decimals:
  store i8 1, ptr %points
  %decimals_from = add i64 %whole_end, 1
  store i64 %decimals_from, ptr %at{digits("part", "%m", "decimals_counted")}
  %decimals_end = load i64, ptr %at
  %n_decimals = sub i64 %decimals_end, %decimals_from
  store i64 %n_decimals, ptr %fraction
  br label %counted

counted:
  %after = load i64, ptr %at
  %places = load i64, ptr %fraction
  %n_digits = add i64 %n_whole, %places
  %few = sub i64 %n_digits, 1
  %fits = icmp ult i64 %few, {MOST_DIGITS}
  br i1 %fits, label %power, label %is_odd

power:{sign("c2", "%after")}
  %small = or i8 %c2, 32
  %has_power = icmp eq i8 %small, 101
  br i1 %has_power, label %powered, label %read

powered:
  %sign_from = add i64 %after, 1{sign("c3", "%sign_from")}
  %minus = icmp eq i8 %c3, 45
  %plus = icmp eq i8 %c3, 43
  %signed = or i1 %minus, %plus
  %sign_n = zext i1 %signed to i64
  %power_from = add i64 %sign_from, %sign_n
  store i64 %power_from, ptr %at{digits("power", "%exponent", "power_counted")}
  %power_end = load i64, ptr %at
  %n_power = sub i64 %power_end, %power_from
  %power_few = sub i64 %n_power, 1
  %power_fits = icmp ult i64 %power_few, 5
  %power_abs = load i64, ptr %exponent
  %power_neg = sub i64 0, %power_abs
  %power_signed = select i1 %minus, i64 %power_neg, i64 %power_abs
  store i64 %power_signed, ptr %exponent
  br i1 %power_fits, label %read, label %is_odd

read: ; m times ten to the power of ten
  %stop = load i64, ptr %at
  %is_all = icmp eq i64 %stop, %e
  br i1 %is_all, label %scale, label %is_odd

scale:
  %power0 = load i64, ptr %exponent
  %ten = sub i64 %power0, %places
  %man = load i64, ptr %m
  %is_nothing = icmp eq i64 %man, 0
  %nothing = select i1 %negative, double -0.0, double 0.0
  store double %nothing, ptr %value_place
  br i1 %is_nothing, label %cells, label %known

known:
  %entry_i = sub i64 %ten, {FIRST}
  %in_table = icmp ult i64 %entry_i, {LAST - FIRST + 1}
  br i1 %in_table, label %choose, label %is_odd

choose: ; two exact doubles are multiplied or divided with one rounding (Clinger 1990)
  %power_at = mul i64 %entry_i, 3
  %hi_place = getelementptr i64, ptr %powers, i64 %power_at
  %lo_place = getelementptr i64, ptr %hi_place, i64 1
  %double_place = getelementptr i64, ptr %hi_place, i64 2
  %is_whole = icmp ule i64 %man, {2**53}
  %ten_up = add i64 %ten, {EXACT}
  %is_near = icmp ule i64 %ten_up, {2 * EXACT}
  %is_exact = and i1 %is_whole, %is_near
  br i1 %is_exact, label %exact_ones, label %multiply

exact_ones:
  %scale10 = load double, ptr %double_place
  %man_double = uitofp i64 %man to double
  %is_below = icmp slt i64 %ten, 0
  %divided = fdiv double %man_double, %scale10
  %multiplied = fmul double %man_double, %scale10
  %absolute = select i1 %is_below, double %divided, double %multiplied
  %opposite = fneg double %absolute
  %nearest = select i1 %negative, double %opposite, double %absolute
  store double %nearest, ptr %value_place
  br label %cells

multiply: ; by the upper 64 bits of the power; by the lower ones too where these could change what is rounded
  %clz = call i64 @llvm.ctlz.i64(i64 %man, i1 true)
  %man_n = shl i64 %man, %clz
  %power_hi = load i64, ptr %hi_place
  %a = zext i64 %man_n to i128
  %b = zext i64 %power_hi to i128
  %product = mul i128 %a, %b
  %high128 = lshr i128 %product, 64
  %x_hi = trunc i128 %high128 to i64
  %x_lo = trunc i128 %product to i64
  store i64 %x_hi, ptr %hi
  store i64 %x_lo, ptr %lo
  %low9 = and i64 %x_hi, 511
  %full9 = icmp eq i64 %low9, 511
  %x_sum = add i64 %x_lo, %man_n
  %carries = icmp ult i64 %x_sum, %man_n
  %unsure = and i1 %full9, %carries
  br i1 %unsure, label %wider, label %round

wider:
  %power_lo = load i64, ptr %lo_place
  %b2 = zext i64 %power_lo to i128
  %product2 = mul i128 %a, %b2
  %high2 = lshr i128 %product2, 64
  %y_hi = trunc i128 %high2 to i64
  %y_lo = trunc i128 %product2 to i64
  %merged_lo = add i64 %x_lo, %y_hi
  %over = icmp ult i64 %merged_lo, %x_lo
  %over64 = zext i1 %over to i64
  %merged_hi = add i64 %x_hi, %over64
  store i64 %merged_hi, ptr %hi
  store i64 %merged_lo, ptr %lo
  %merged9 = and i64 %merged_hi, 511
  %merged_full = icmp eq i64 %merged9, 511
  %all_ones = icmp eq i64 %merged_lo, -1
  %y_sum = add i64 %y_lo, %man_n
  %y_carries = icmp ult i64 %y_sum, %man_n
  %still1 = and i1 %merged_full, %all_ones
  %still = and i1 %still1, %y_carries
  br i1 %still, label %is_odd, label %round

round: ; to 54 bits, then to the nearest of 53
  %z_hi = load i64, ptr %hi
  %z_lo = load i64, ptr %lo
  %msb = lshr i64 %z_hi, 63
  %by = add i64 %msb, 9
  %top54 = lshr i64 %z_hi, %by
  %log = mul i64 %ten, 217706
  %log2 = ashr i64 %log, 16
  %biased = add i64 %log2, {64 + 1023}
  %less_clz = sub i64 %biased, %clz
  %flip = xor i64 %msb, 1
  %two = sub i64 %less_clz, %flip
  %z_low9 = and i64 %z_hi, 511
  %low_rest = or i64 %z_low9, %z_lo
  %exact = icmp eq i64 %low_rest, 0
  %low2 = and i64 %top54, 3
  %one_half = icmp eq i64 %low2, 1
  %between = and i1 %exact, %one_half
  br i1 %between, label %is_odd, label %rounded

rounded:
  %half = and i64 %top54, 1
  %up = add i64 %top54, %half
  %top53 = lshr i64 %up, 1
  %carry = lshr i64 %top53, 53
  %mantissa = lshr i64 %top53, %carry
  %two1 = add i64 %two, %carry
  %two_less = sub i64 %two1, 1
  %is_normal = icmp ult i64 %two_less, 2046
  br i1 %is_normal, label %store, label %is_odd

store:
  %body = and i64 %mantissa, {2**52 - 1}
  %head = shl i64 %two1, 52
  %unsigned = or i64 %head, %body
  %sign_bit = select i1 %negative, i64 -9223372036854775808, i64 0
  %word = or i64 %unsigned, %sign_bit
  store i64 %word, ptr %value_place
  br label %cells

is_odd:
  store double 0.0, ptr %value_place
  %n = load i64, ptr %n_odd
  %odd_place = getelementptr i32, ptr %odd, i64 %n
  %r32 = trunc i64 %r to i32
  store i32 %r32, ptr %odd_place
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %n_odd
  br label %cells

end:
  %n_all = load i64, ptr %n_odd
  ret i64 %n_all
}}

declare i64 @llvm.ctlz.i64(i64, i1)
declare i64 @llvm.umin.i64(i64, i64)
"""
