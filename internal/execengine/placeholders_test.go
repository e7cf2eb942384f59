package execengine

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	v := Values{"slice": "/w/s.parquet", "chunk_idx": "3", "param.alpha-1": "0.5", "file.m.bin": "/f/{slice}", "out_dir": ""}
	for _, c := range []struct{ text, want, err string }{
		{text: "", want: ""},
		{text: "plain", want: "plain"},
		{text: "--in={slice}", want: "--in=/w/s.parquet"},
		{text: "{slice}{chunk_idx}{slice}", want: "/w/s.parquet3/w/s.parquet"},
		{text: "{param.alpha-1} {file.m.bin}", want: "0.5 /f/{slice}"},
		{text: "a{out_dir}b", want: "ab"},
		{text: `{"a":1}`, want: `{"a":1}`},
		{text: `{"a":{"b":{"p":"{slice}"}}}`, want: `{"a":{"b":{"p":"/w/s.parquet"}}}`},
		{text: `{"a":{"b":{chunk_idx}}}`, want: `{"a":{"b":3}}`},
		{text: "{}{ slice }{slice", want: "{}{ slice }{slice"},
		{text: "x{2,3}y{4}", want: "x{2,3}y{4}"},
		{text: "{{slice}}", want: "{slice}"},
		{text: "{{{slice}}}", want: "{/w/s.parquet}"},
		{text: `{{"a":{{"b":{chunk_idx}}}}}`, want: `{"a":{"b":3}}`},
		{text: "}} a }", want: "}} a }"},
		{text: "{{ }} }}", want: "{ } }}"},
		{text: "ø{slice}ø", want: "ø/w/s.parquetø"},
		{text: "{Slice}", err: `{Slice} is no placeholder (want one of {chunk_idx} {file.m.bin} {out_dir} {param.alpha-1} {slice}; {{Slice}} for the text itself)`},
		{text: "${HOME}", err: "{HOME} is no placeholder"},
		{text: "{param.beta}", err: "{param.beta} is no placeholder"},
		{text: "a\x00", err: "zero byte"},
	} {
		got, err := Expand(c.text, v)
		if c.err == "" && (err != nil || got != c.want) {
			t.Errorf("%q: %q, %v, want %q", c.text, got, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: error %v, want %s", c.text, err, c.err)
		}
	}
}

func TestUses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want bool
	}{
		{nil, false},
		{[]string{"x", "--data={data}"}, true},
		{[]string{"x", "{data}", "{slice}"}, true},
		{[]string{"x", "{{data}}", "data", "{data.x}"}, false},
		{[]string{"x", "{unknown}{data}"}, true},
	} {
		if got := Uses(c.args, "data"); got != c.want {
			t.Errorf("%q: %v", c.args, got)
		}
	}
}

func TestCheckArgs(t *testing.T) {
	for _, c := range []struct {
		args []string
		err  string
	}{
		{args: []string{"python3", "x.py", "{slice}", "{param.a}", "--m={file.m}", "{task}", `{"a":{}}`}},
		{args: nil, err: "there is no command"},
		{args: []string{""}, err: "there is no command"},
		{args: []string{"{file.m}"}, err: "argument 0 of the command: \"{file.m}\": {file.m} in the program's name"},
		{args: []string{"x", "{param.b}"}, err: "argument 1 of the command: \"{param.b}\": {param.b}: there is no --param b=VALUE"},
		{args: []string{"x", "{file.b}"}, err: "no --exec-file b=PATH"},
		{args: []string{"x", "ok", "{slise}"}, err: "argument 2 of the command: \"{slise}\": {slise} is no placeholder (want one of {task} {run_id}"},
		{args: []string{"x", "{slise}"}, err: "{load_start_ts} {param.a} {file.m}; {{slise}}"},
		{args: []string{"x", "a\x00b"}, err: "argument 1 of the command: \"a\\x00b\": it holds a zero byte"},
		{args: []string{"x", "--token", "S3{slise}"}, err: "argument 2 of the command: \"[removed]\": {slise} is no placeholder"},
	} {
		err := CheckArgs(c.args, []string{"a"}, []string{"m"})
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: error %v, want %q", c.args, err, c.err)
		}
	}
}

// What Expand writes has no other braces than the text and the values had,
// and text without a placeholder or doubled brace comes back as it was.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "{slice}", "{{slice}}", "{{{slice}}}", `{"a":{"b":1}}`, "{x", "}}{{}}", "${HOME}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Expand(s, Values{"slice": "S"})
		if err != nil {
			return
		}
		if len(got) > len(s) {
			t.Fatalf("%q became %q", s, got)
		}
		if !strings.Contains(s, "{{") && !strings.Contains(s, "{slice}") && got != s {
			t.Fatalf("%q became %q", s, got)
		}
		if CheckArgs([]string{"x", s}, nil, nil) != nil {
			t.Fatalf("%q expands and is refused", s)
		}
	})
}
