package printable

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/quick"
	"unicode"
	"unicode/utf8"
)

func TestLineAndText(t *testing.T) {
	for _, c := range []struct{ in, line, text string }{
		{"", "", ""},
		{"plain 100% Schluß – 終わり 👩‍🚀", "plain 100% Schluß – 終わり 👩‍🚀", "plain 100% Schluß – 終わり 👩‍🚀"},
		{"two\nlines\tand a tab\n", "two lines and a tab ", "two\nlines\tand a tab\n"},
		{"1%\r2%\r\nend\r", "1% 2%  end ", "1%\n2%\nend\n"},
		{"\x1b[31mred\x1b[0m", " [31mred [0m", `\u001b[31mred\u001b[0m`},
		{"\x1b]0;title\x07", " ]0;title ", `\u001b]0;title\u0007`},
		{"nul\x00del\x7fbs\b", "nul del bs ", `nul\u0000del\u007fbs\u0008`},
		{"c1 \u009b2J", "c1  2J", `c1 \u009b2J`},
		{"c1 as a byte \x9b2J", "c1 as a byte \ufffd2J", "c1 as a byte \ufffd2J"},
		{"torn \xe7\xb5", "torn \ufffd\ufffd", "torn \ufffd\ufffd"},
		{"line\u2028par\u2029", "line par ", `line\u2028par\u2029`},
		{"a\u202eb\u2066c\u061cd\u200fe", "a b c d e", `a\u202eb\u2066c\u061cd\u200fe`},
		{"next\u0085line", "next line", `next\u0085line`},
	} {
		if got := Line(c.in); got != c.line {
			t.Errorf("Line(%q) is %q (want %q)", c.in, got, c.line)
		}
		if got := Text(c.in); got != c.text {
			t.Errorf("Text(%q) is %q (want %q)", c.in, got, c.text)
		}
	}
}

// Whatever comes, what goes out is harmless, and doing it again changes nothing.
func TestLaws(t *testing.T) {
	bad := func(text string, allowed string) bool {
		return !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
			return !strings.ContainsRune(allowed, r) && unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		})
	}
	law := func(b []byte, runes []rune) bool {
		in := string(b) + string(runes)
		line, text := Line(in), Text(in)
		return !bad(line, "") && !bad(text, "\n\t") && Line(line) == line && Text(text) == text
	}
	if err := quick.Check(law, nil); err != nil {
		t.Error(err)
	}
}

// However a text is cut into writes, the same comes out.
func TestWriter(t *testing.T) {
	for _, text := range []string{"one\r\ntwo\x1b[2J", "Schluß – 終わり\u202e\n", "a\x9b\xff\r\r\n"} {
		for size := 1; size <= len(text); size++ {
			var b bytes.Buffer
			w := NewWriter(&b)
			for rest := text + "."; rest != ""; {
				n := min(size, len(rest))
				if got, err := w.Write([]byte(rest[:n])); got != n || err != nil {
					t.Fatal(got, err)
				}
				rest = rest[n:]
			}
			if b.String() != Text(text+".") {
				t.Errorf("%q in pieces of %d: %q", text, size, b.String())
			}
		}
	}
}

// JSON means the same behind a Writer.
func TestWriterKeepsJSON(t *testing.T) {
	in := map[string]string{"a": "\x1b[31m\u202e\u009b\x7f\u2028\n\r\t\"\\u"}
	var b bytes.Buffer
	enc := json.NewEncoder(NewWriter(&b))
	enc.SetIndent("", "  ")
	if err := enc.Encode(in); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || out["a"] != in["a"] {
		t.Errorf("%q, %v", out["a"], err)
	}
	if strings.ContainsAny(b.String(), "\u202e\u009b\x7f") {
		t.Errorf("%q goes to a terminal", b.String())
	}
}
