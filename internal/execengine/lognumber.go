package execengine

import (
	"strings"
	"unicode/utf8"
)

// numberKind is what a number in a log line can be. It decides what a lone
// separator before three digits means: 1,234 is 1234 bars and 1.234 %.
type numberKind int

const (
	numberCount   numberKind = iota // a whole number
	numberFloat                     // seconds, bps
	numberPercent                   // 0 to 100
)

// maxDigits bounds a number in a log line: no counter or time needs more.
const maxDigits = 32

// plainNumber rewrites a number of a log line, which may be written as any
// locale does, into digits with at most one point: 1,234.5 and 1.234,5, 1 234,5,
// 1'234.5 and 1_234.5 are all 1234.5. A separator of thousands stands before
// exactly three digits. Of two kinds of separators the last one is the decimal
// one. A lone comma or point that could be either, as in 1,234, separates
// thousands in a count and decimals in a percentage; in another number a comma
// separates thousands and a point decimals. A count as 12.000 may be 12 or
// 12,000, so it is none. A separator at the end belongs to the sentence.
//
// A sign and, but for percentages, an exponent are kept. ok is false if text is
// no such number.
func plainNumber(text string, kind numberKind) (plain string, ok bool) {
	text = strings.TrimSpace(text)
	if len(text) > maxDigits {
		return "", false
	}
	sign, exponent := "", ""
	if text != "" && (text[0] == '-' || text[0] == '+') {
		sign, text = strings.TrimPrefix(text[:1], "+"), text[1:]
	}
	if at := strings.IndexAny(text, "eE"); at > 0 && kind != numberPercent {
		text, exponent = text[:at], text[at:]
		if strings.Trim(exponent[1:], "+-0123456789") != "" {
			return "", false
		}
	}
	if exponent == "" {
		text = strings.TrimRight(text, ",.")
	}
	var digits []string // between separators
	var seps []rune
	begin := 0
	for i, r := range text {
		if r >= '0' && r <= '9' {
			continue
		}
		if !strings.ContainsRune(",._'\u2019 \u00a0\u202f\u2009", r) {
			return "", false
		}
		digits, seps = append(digits, text[begin:i]), append(seps, r)
		begin = i + utf8.RuneLen(r)
	}
	digits = append(digits, text[begin:])
	if len(seps) == 0 {
		return sign + text + exponent, text != ""
	}
	last := seps[len(seps)-1]
	decimal, sure := decimalAt(digits, seps, kind)
	if !sure {
		return "", false
	}
	whole := digits
	fraction := ""
	if decimal {
		if last != ',' && last != '.' {
			return "", false
		}
		whole, fraction = digits[:len(digits)-1], "."+digits[len(digits)-1]
		seps = seps[:len(seps)-1]
	}
	if len(seps) > 0 && !grouped(whole, seps) {
		return "", false
	}
	joined := strings.Join(whole, "")
	if joined == "" && fraction == "" {
		return "", false
	}
	return sign + joined + fraction + exponent, true
}

// decimalAt says whether the last of seps is the decimal one; sure is false if
// nobody can tell.
func decimalAt(digits []string, seps []rune, kind numberKind) (decimal, sure bool) {
	last := seps[len(seps)-1]
	if len(seps) > 1 {
		return seps[0] != last, true
	}
	if last != ',' && last != '.' {
		return false, true
	}
	switch {
	case !grouped(digits, seps), kind == numberPercent:
		return true, true
	case kind == numberFloat:
		return last == '.', true
	}
	return false, last == ',' || digits[1] != "000"
}

// grouped says whether digits are thousands, with the same separator between
// all of them.
func grouped(digits []string, seps []rune) bool {
	if n := len(digits[0]); n < 1 || n > 3 || digits[0] == "0" {
		return false
	}
	for i, r := range seps {
		if r != seps[0] || len(digits[i+1]) != 3 {
			return false
		}
	}
	return true
}

// wholeNumber widens text[from:to], a group of an expression, to the number
// around it, if the expression has found only a part of one: the 234 of 1,234.
// ok is false if it is a part of something that may be a number or not, as the
// 512 of 3.512.
func wholeNumber(text []byte, from, to int) (begin, end int, ok bool) {
	digit := func(i int) bool { return i >= 0 && i < len(text) && text[i] >= '0' && text[i] <= '9' }
	inside := func(i int) bool {
		return digit(i) || i > 0 && i < len(text)-1 && strings.IndexByte(",_'", text[i]) >= 0 && digit(i-1) && digit(i+1)
	}
	if from >= to || !digit(from) || !digit(to-1) {
		return from, to, true // it begins or ends with what is no number
	}
	for inside(from - 1) {
		from--
	}
	for inside(to) {
		to++
	}
	point := func(i int) bool { return i > 0 && i < len(text) && text[i] == '.' }
	switch {
	case point(from-1) && digit(from-2):
		return 0, 0, false
	case point(to) && digit(to+1) && digit(to+2) && digit(to+3) && !digit(to+4):
		return 0, 0, false
	}
	return from, to, true
}
