package run

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"gx1replay/internal/redact"
)

// What a command leaves of trades (--exec-emits).
const (
	// EmitsTrades: the command's own trades are merged as they are.
	EmitsTrades = "trades"
	// EmitsScores: gate, entries, exits and selection are ours, over the
	// command's probabilities.
	EmitsScores = "scores"
	// EmitsSignals: entries and exits are the command's, the selection ours.
	EmitsSignals = "signals"
)

// Command is the user's command as a run has it, for the engine exec: what
// makes two replays the same. It holds nothing by which a program is chosen:
// a worker runs the command of its own command line, if that is the same.
type Command struct {
	// Argv is the argument vector, placeholders unexpanded.
	Argv []string `msgpack:"argv" json:"argv"`
	// ArgvSHA256 is the digest of the true argument vector where Argv is a
	// redacted one (Redacted), else empty. It never travels on the bus: there Argv
	// is the true one.
	ArgvSHA256 string `msgpack:"-" json:"argv_sha256,omitzero"`
	// Digests are the SHA-256 (hex) of the files that belong to the command, by
	// the names under which they were given: arguments that are files, and
	// what --exec-digest names.
	Digests map[string]string `msgpack:"digests" json:"digests"`
	// Params are the run's own values, {param.NAME}.
	Params map[string]string `msgpack:"params" json:"params"`
	// Files are what is shipped, {file.NAME}.
	Files map[string]CommandFile `msgpack:"files" json:"files"`

	Emits       string `msgpack:"emits" json:"emits"`               // trades | scores | signals
	SliceFormat string `msgpack:"slice_format" json:"slice_format"` // parquet | csv
	TSFormat    string `msgpack:"ts_format" json:"ts_format"`       // rfc3339 | naive | epoch_ms
	TailBars    int64  `msgpack:"tail_bars" json:"tail_bars"`       // bars of a slice behind the chunk

	// Flags are those by which the coordinator's own workers run the command, as
	// --NAME=VALUE, without secrets and values of the environment. Runs with other
	// flags are the same: nobody but `chunk` and `audit` goes by them.
	Flags []string `msgpack:"flags,omitempty" json:"flags,omitzero"`
}

// CommandFile is a shipped file.
type CommandFile struct {
	Name   string `msgpack:"name" json:"name"` // its base name
	SHA256 string `msgpack:"sha256" json:"sha256"`
	Bytes  int64  `msgpack:"bytes" json:"bytes"`
}

// IsZero says that there is no command: another engine's run, or one whose
// command is not known yet.
func (c Command) IsZero() bool { return len(c.Argv) == 0 }

// Bounds of a command, as it comes from the bus.
const (
	maxArgs     = 1024
	maxArgBytes = 64 << 10
	maxNamed    = 1024
)

// Redacted is c as it may be printed and kept: its arguments are without secrets,
// and what cannot be written as JSON. If that changes them, their digest says
// which they were.
func (c Command) Redacted() Command {
	shown := shownArgs(c.Argv)
	if c.ArgvSHA256 == "" && !slices.Equal(shown, c.Argv) {
		c.ArgvSHA256 = c.argvDigest()
	}
	c.Argv = shown
	c.Flags = shownArgs(c.Flags)
	return c
}

func shownArgs(args []string) []string {
	shown := redact.Args(args)
	for i := range shown {
		shown[i] = strings.ToValidUTF8(shown[i], "\uFFFD")
	}
	return shown
}

// argvDigest is the SHA-256 (hex) of the true argument vector.
func (c Command) argvDigest() string {
	if c.ArgvSHA256 != "" {
		return c.ArgvSHA256
	}
	h := sha256.New()
	writeArgv(h, c.Argv)
	return hex.EncodeToString(h.Sum(nil))
}

// writeArgv writes an argument vector so that no other one is written alike.
func writeArgv(h hash.Hash, argv []string) {
	for _, a := range argv {
		fmt.Fprintf(h, "arg %q\n", a)
	}
}

// Identity is the digest (hex) of what a worker must have to serve a run of c:
// argument vector and files. Parameters and shipped files come with the run. A
// redacted command has none.
func (c Command) Identity() string {
	h := sha256.New()
	writeArgv(h, c.Argv)
	for _, name := range slices.Sorted(maps.Keys(c.Digests)) {
		fmt.Fprintf(h, "file %q %s\n", name, c.Digests[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Differences names what c and the command of o differ in, each with both
// values, o's last: files by their names, arguments without their secrets.
func (c Command) Differences(o Command) []string {
	var list []string
	if c.argvDigest() != o.argvDigest() {
		mine, other := c.Redacted().Argv, o.Redacted().Argv
		if slices.Equal(mine, other) {
			list = append(list, fmt.Sprintf("command: %q, not %q with another secret", mine, other))
		} else {
			list = append(list, fmt.Sprintf("command: %q, not %q", mine, other))
		}
	}
	list = append(list, differ("file", c.Digests, o.Digests, func(sha string) string { return fmt.Sprintf("SHA-256 %.12s", sha) })...)
	list = append(list, differ("--param", c.Params, o.Params, func(v string) string { return fmt.Sprintf("%q", v) })...)
	list = append(list, differ("--exec-file", c.Files, o.Files, func(f CommandFile) string { return fmt.Sprintf("SHA-256 %.12s", f.SHA256) })...)
	for _, f := range []struct{ name, mine, other string }{
		{"--exec-emits", c.Emits, o.Emits},
		{"--slice-format", c.SliceFormat, o.SliceFormat},
		{"--exec-ts-format", c.TSFormat, o.TSFormat},
		{"--exec-tail-bars", fmt.Sprint(c.TailBars), fmt.Sprint(o.TailBars)},
	} {
		if f.mine != f.other {
			list = append(list, fmt.Sprintf("%s: %s, not %s", f.name, f.mine, f.other))
		}
	}
	return list
}

func differ[V comparable](what string, a, b map[string]V, text func(V) string) []string {
	all := maps.Clone(a)
	if all == nil {
		all = b
	}
	maps.Copy(all, b)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x, inA := a[name]
		y, inB := b[name]
		switch {
		case inA && inB && x == y:
		case inA && inB:
			list = append(list, fmt.Sprintf("%s %s: %s, not %s", what, name, text(x), text(y)))
		case inA:
			list = append(list, fmt.Sprintf("%s %s: it has %s, the other has none", what, name, text(x)))
		default:
			list = append(list, fmt.Sprintf("%s %s: it has none, the other has %s", what, name, text(y)))
		}
	}
	return list
}

// Validate checks what came from the bus or a command line. The zero Command
// is fine, and so is one that waits for its argument vector.
func (c Command) Validate() error {
	if c.IsZero() && c.Emits == "" {
		return nil
	}
	if len(c.Argv) > maxArgs || len(c.Digests) > maxNamed || len(c.Params) > maxNamed || len(c.Files) > maxNamed {
		return fmt.Errorf("command of %d arguments, %d files, %d parameters, %d shipped files (at most %d each)",
			len(c.Argv), len(c.Digests), len(c.Params), len(c.Files), maxNamed)
	}
	if i := slices.IndexFunc(c.Argv, func(a string) bool { return strings.ContainsRune(a, 0) }); i >= 0 {
		return fmt.Errorf("command: argument %d holds a zero byte", i)
	}
	if n := len(strings.Join(c.Argv, "")); n > maxArgBytes {
		return fmt.Errorf("command: its arguments have %d bytes (at most %d)", n, maxArgBytes)
	}
	if err := c.checkFlags(); err != nil {
		return err
	}
	if err := checkSHA(c.ArgvSHA256); c.ArgvSHA256 != "" && err != nil {
		return fmt.Errorf("command: its arguments: %w", err)
	}
	for name, sha := range c.Digests {
		if err := checkSHA(sha); err != nil {
			return fmt.Errorf("command: file %.80q: %w", name, err)
		}
	}
	for name := range c.Params {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("command: parameter: %w", err)
		}
	}
	for name, f := range c.Files {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("command: shipped file: %w", err)
		}
		if err := checkSHA(f.SHA256); err != nil {
			return fmt.Errorf("command: shipped file %s: %w", name, err)
		}
		if f.Bytes < 0 || f.Name == "" || strings.ContainsAny(f.Name, "/\\\x00") || f.Name == "." || f.Name == ".." {
			return fmt.Errorf("command: shipped file %s: name %.80q of %d bytes (want a plain file name)", name, f.Name, f.Bytes)
		}
	}
	return c.checkWords()
}

func (c Command) checkFlags() error {
	if len(c.Flags) > maxNamed {
		return fmt.Errorf("command: %d flags (at most %d)", len(c.Flags), maxNamed)
	}
	for _, text := range c.Flags {
		if name, _, ok := strings.Cut(text, "="); !ok || !strings.HasPrefix(name, "--") || strings.ContainsRune(text, 0) {
			return fmt.Errorf("command: flag %.80q (want --NAME=VALUE)", text)
		}
	}
	if n := len(strings.Join(c.Flags, "")); n > maxArgBytes {
		return fmt.Errorf("command: its flags have %d bytes (at most %d)", n, maxArgBytes)
	}
	return nil
}

func (c Command) checkWords() error {
	one := func(flag, value string, want ...string) error {
		if !slices.Contains(want, value) {
			return fmt.Errorf("%s %.40q (want %s)", flag, value, strings.Join(want, ", "))
		}
		return nil
	}
	if c.TailBars < 0 || c.TailBars > 1<<40 {
		return fmt.Errorf("--exec-tail-bars %d (want 0 or more)", c.TailBars)
	}
	return errors.Join(
		one("--exec-emits", c.Emits, EmitsTrades, EmitsScores, EmitsSignals),
		one("--slice-format", c.SliceFormat, "parquet", "csv"),
		one("--exec-ts-format", c.TSFormat, "rfc3339", "naive", "epoch_ms"),
	)
}

// CheckName says whether name can stand in {param.NAME} and {file.NAME}: 1 to
// 64 of A-Z a-z 0-9 _ - .
func CheckName(name string) error {
	if name == "" || len(name) > 64 || strings.Trim(name, idBytes+".") != "" {
		return fmt.Errorf("name %.80q (want 1 to 64 of A-Z a-z 0-9 _ - .)", name)
	}
	return nil
}

func checkSHA(sha string) error {
	if b, err := hex.DecodeString(sha); err != nil || len(b) != sha256.Size {
		return fmt.Errorf("digest %.80q (want a SHA-256)", sha)
	}
	return nil
}

// FileObject names the object that holds the shipped file of that SHA-256
// (hex).
func FileObject(sha256Hex string) string { return "file." + sha256Hex }
