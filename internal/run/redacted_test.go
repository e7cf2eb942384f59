package run

import (
	"slices"
	"strings"
	"testing"
)

// A redacted command shows no secret, and is still told from another one.
func TestCommand_Redacted(t *testing.T) {
	with := func(argv ...string) Command {
		return Command{Argv: argv, Emits: EmitsTrades, SliceFormat: "csv", TSFormat: "rfc3339"}
	}
	plain := with("python3", "replay.py", "{task}")
	if r := plain.Redacted(); !slices.Equal(r.Argv, plain.Argv) || r.ArgvSHA256 != "" {
		t.Errorf("without a secret: %+v", r)
	}
	c := with("replay.py", "--password=S3CR3T", "-H", "Authorization: Bearer S3CR3T")
	r := c.Redacted()
	if want := []string{"replay.py", "--password=[removed]", "-H", "Authorization: [removed]"}; !slices.Equal(r.Argv, want) || len(r.ArgvSHA256) != 64 {
		t.Errorf("%+v (want %q and a digest)", r, want)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	if again := r.Redacted(); !slices.Equal(again.Argv, r.Argv) || again.ArgvSHA256 != r.ArgvSHA256 {
		t.Errorf("redacted again: %+v", again)
	}
	if c.Argv[1] != "--password=S3CR3T" {
		t.Error("the command itself has changed")
	}
	odd := with("replay.py", "a\xff")
	for _, same := range [][2]Command{{c, r}, {r, c}, {r, r}, {odd, odd.Redacted()}, {plain, plain.Redacted()}} {
		if list := same[0].Differences(same[1]); len(list) > 0 {
			t.Errorf("the same: %q", list)
		}
	}
	other := with("replay.py", "--password=S3CR3T2", "-H", "Authorization: Bearer S3CR3T")
	for _, two := range [][2]Command{{r, other}, {other, r}, {c, other}, {r, other.Redacted()}, {r, plain}, {odd.Redacted(), with("replay.py", "a\xfe")}} {
		list := two[0].Differences(two[1])
		if len(list) != 1 || !strings.HasPrefix(list[0], "command: ") || strings.Contains(list[0], "S3CR3T") {
			t.Errorf("another: %q", list)
		}
	}
	r.ArgvSHA256 = "x"
	if r.Validate() == nil {
		t.Error("a digest that is none is fine")
	}
}
