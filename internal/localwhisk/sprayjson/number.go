package sprayjson

import (
	"strconv"
	"strings"
)

// decimal is a number, digits · 10^-scale, as Java's BigDecimal has it.
type decimal struct {
	negative bool
	digits   string // without zeros at the beginning; "0" for 0
	scale    int
}

// parseDecimal parses a number of JSON. It returns false if its exponent is too large for Java.
func parseDecimal(number string) (decimal, bool) {
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(number), "e")
	var d decimal
	mantissa, d.negative = strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.scale = len(fraction)
	if hasExponent {
		e, err := strconv.ParseInt(exponent, 10, 32)
		if err != nil {
			return d, false
		}
		d.scale -= int(e)
	}
	if d.digits = strings.TrimLeft(whole+fraction, "0"); d.digits == "" {
		d.digits, d.negative = "0", false
	}
	return d, true
}

// Number returns a number of JSON as spray-json writes it: 1.10 as it is, 1e400 as 1E+400.
func Number(number string) string {
	d, ok := parseDecimal(number)
	if !ok {
		return number
	}
	exponent := len(d.digits) - 1 - d.scale // of the first digit
	text := d.digits
	switch {
	case d.scale < 0 || exponent < -6:
		if len(text) > 1 {
			text = text[:1] + "." + text[1:]
		}
		if exponent != 0 {
			text += "E"
			if exponent > 0 {
				text += "+"
			}
			text += strconv.Itoa(exponent)
		}
	case d.scale > 0:
		if n := d.scale + 1 - len(text); n > 0 {
			text = strings.Repeat("0", n) + text
		}
		point := len(text) - d.scale
		text = text[:point] + "." + text[point:]
	}
	if d.negative {
		text = "-" + text
	}
	return text
}

// Int32 returns a number of JSON as Java's BigDecimal.intValue does: its lowest 32 bits. It returns false if it is no whole number.
func Int32(number string) (n int32, whole bool) {
	d, ok := parseDecimal(number)
	if !ok {
		return 0, false
	}
	digits := d.digits
	for ; d.scale > 0 && strings.HasSuffix(digits, "0"); d.scale-- {
		if digits = digits[:len(digits)-1]; digits == "" {
			return 0, true
		}
	}
	if d.scale > 0 {
		return 0, false
	}
	var bits uint32
	for i := range len(digits) {
		bits = bits*10 + uint32(digits[i]-'0')
	}
	for range min(-d.scale, 32) { // 10^32 is a multiple of 2^32
		bits *= 10
	}
	if d.negative {
		bits = -bits
	}
	return int32(bits), true
}
