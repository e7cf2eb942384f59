package execengine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// split writes text in pieces of that size.
func split(text string, size, max int) []string {
	var got []string
	l := NewLines(max, func(b []byte) { got = append(got, string(b)) })
	for rest := text; rest != ""; {
		n := min(size, len(rest))
		fmt.Fprint(l, rest[:n])
		rest = rest[n:]
	}
	_ = l.Close()
	return got
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"\n\r\n\r", nil},
		{"a", []string{"a"}},
		{"a\nb\r\nc\rd", []string{"a", "b", "c", "d"}},
		{"10%\r20%\r\rdone\n", []string{"10%", "20%", "done"}},
		{"12345678\n123456789\n1234567890\n1", []string{"12345678", "12345678", "12345678", "1"}},
		{"123456789", []string{"12345678"}},
		{"a\n\nb \n", []string{"a", "b "}},
	} {
		for size := 1; size <= 12; size++ {
			if got := split(c.text, size, 8); !slices.Equal(got, c.want) {
				t.Errorf("%q in pieces of %d: %q, want %q", c.text, size, got, c.want)
			}
		}
	}
}

func TestGX1Line(t *testing.T) {
	for line, want := range map[string]string{
		`GX1 {"a":1}`: `{"a":1}`,
		`GX1 {`:       `{`,
		`GX1 `:        "",
		`GX1`:         "",
		`GX1 x{}`:     "",
		`GX1  {}`:     "",
		` GX1 {}`:     "",
		`gx1 {}`:      "",
	} {
		got, ok := GX1Line([]byte(line))
		if string(got) != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", line, got, ok)
		}
	}
}

// Lines are the same however the stream comes, and what they hold is there.
func FuzzLines(f *testing.F) {
	f.Add("a\r\nb\rlong line\n", 3, 4)
	f.Fuzz(func(t *testing.T, text string, size, max int) {
		if size < 1 || max < 1 || max > 1<<20 {
			t.Skip()
		}
		got := split(text, size, max)
		var want []string
		for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			want = append(want, line[:min(len(line), max)])
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}
