package execengine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"gx1replay/internal/redact"
)

// Reproduction is what an attempt ran.
type Reproduction struct {
	Task     Task
	TaskPath string
	Dir      string // working directory
	Env      []string
	// Shown are the names of Env whose values the script may hold. It names the
	// others and takes their values from where it is run.
	Shown map[string]bool
	Argv  []string
	// Serve: the command gets the task as a line on its standard input.
	Serve bool
}

// Reproduce writes reproduce.sh, a script for sh that runs the attempt's
// command again: in the same directory, with the same arguments and variables of
// the same names, except that it never touches what the attempt has left. It holds
// no secrets: values of variables that are not shown, and arguments that are
// redacted, are taken from the environment in which it runs, and it does not run
// while one is missing. What it writes goes to a directory of its own: the
// script's first argument, new or empty, or else "reproduced" beside the script,
// "reproduced-2" and so on. So the attempt's out_dir becomes that directory
// wherever it stands in arguments, environment and task, and the task, footer,
// progress and stop file become files in it.
func Reproduce(w io.Writer, r Reproduction) error {
	if len(r.Argv) == 0 {
		return errors.New("writing reproduce.sh: there is no command")
	}
	task, err := json.Marshal(r.Task)
	if err != nil {
		return fmt.Errorf("writing reproduce.sh: encoding the task: %w", err)
	}
	moves := r.moves()
	given, err := r.given()
	if err != nil {
		return fmt.Errorf("writing reproduce.sh: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `#!/bin/sh
# The command of run %s, chunk %d, attempt %d, once more.
# usage: reproduce.sh [DIR]
# What it writes goes to DIR, new or empty (default: "reproduced" beside this
# script). What the attempt has left stays as it is.
# Values that may be secrets are not kept here. Set these variables before:
%sset -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
if [ $# -gt 0 ]; then
	mkdir -p -- "$1"
	OUT=$(CDPATH= cd -- "$1" && pwd)
	if [ -n "$(ls -A -- "$OUT")" ]; then
		echo "reproduce.sh: $OUT is not empty" >&2
		exit 1
	fi
else
	OUT=$here/reproduced
	n=1
	while [ -e "$OUT" ]; do
		n=$((n + 1))
		OUT=$here/reproduced-$n
	done
	mkdir -- "$OUT"
fi
echo "reproduce.sh: it writes to $OUT" >&2
`, oneLine(r.Task.RunID), r.Task.ChunkIdx, r.Task.Attempt, given)
	// OUT as it stands in a JSON text.
	b.WriteString(`JSON_OUT=$(printf '%s' "$OUT" | sed 's/[\\"]/\\&/g')` + "\n")
	fmt.Fprintf(&b, "printf '%%s\\n' %s >%s\n", inJSON(moves).quote(string(task)), moves.quote(r.TaskPath))
	if r.Dir != "" {
		fmt.Fprintf(&b, "cd -- %s\n", shellQuote(r.Dir))
	}
	if r.Serve {
		fmt.Fprintf(&b, "printf '%%s\\n' %s |\n", inJSON(moves).quote(fmt.Sprintf(`{"task":%s}`, jsonText(r.TaskPath))))
	} else {
		b.WriteString("exec ")
	}
	b.WriteString("env -i")
	for _, nv := range r.Env {
		name, value, _ := strings.Cut(nv, "=")
		switch {
		case r.Shown[name]:
			fmt.Fprintf(&b, " \\\n\t%s=%s", name, moves.quote(value))
		case envName(name):
			fmt.Fprintf(&b, " \\\n\t%s=\"$%s\"", name, name)
		}
	}
	b.WriteString(" \\\n\t")
	if strings.Contains(r.Argv[0], "=") {
		// env would take the program's name for a variable.
		b.WriteString(`/bin/sh -c 'exec "$@"' sh `)
	}
	shown := redact.Args(r.Argv)
	for i, a := range r.Argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		if shown[i] != a {
			fmt.Fprintf(&b, `"$%s"`, argVar(i))
		} else {
			b.WriteString(moves.quote(a))
		}
	}
	if !r.Serve {
		b.WriteString(" </dev/null")
	}
	b.WriteByte('\n')
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing reproduce.sh: %w", err)
	}
	return nil
}

// argVar is the variable that holds argument i for the script.
func argVar(i int) string { return fmt.Sprintf("%s%d", argVarPrefix, i) }

// given is the part of the script that asks for what it does not hold.
func (r Reproduction) given() (string, error) {
	var about, check strings.Builder
	ask := func(name, what string) {
		fmt.Fprintf(&about, "#   %s: %s\n", name, oneLine(what))
		text := fmt.Sprintf("reproduce.sh: %s is not set (want %s)", name, what)
		fmt.Fprintf(&check, "[ -n \"${%s+set}\" ] || { printf '%%s\\n' %s >&2; exit 1; }\n", name, shellQuote(oneLine(text)))
	}
	for _, nv := range r.Env {
		name, _, _ := strings.Cut(nv, "=")
		switch {
		case r.Shown[name]:
		case envName(name):
			ask(name, "the variable as the attempt had it")
		default:
			fmt.Fprintf(&about, "#   left out, because sh has no such names: %s\n", oneLine(name))
		}
	}
	shown := redact.Args(r.Argv)
	for i, a := range r.Argv {
		if shown[i] == a {
			continue
		}
		if i == 0 {
			return "", errors.New("the program's name holds a secret")
		}
		ask(argVar(i), fmt.Sprintf("argument %d of the command, %s, with its secret", i, shown[i]))
	}
	if about.Len() == 0 {
		about.WriteString("#   (none)\n")
	}
	return about.String() + check.String(), nil
}

// moves says which paths become others.
func (r Reproduction) moves() replacements {
	var list replacements
	list.add(r.Task.OutDir, "$OUT")
	for _, file := range []string{r.TaskPath, r.Task.FooterFile, r.Task.ProgressFile, r.Task.StopFile} {
		if rel, err := filepath.Rel(r.Task.OutDir, file); err != nil || !filepath.IsLocal(rel) {
			list.add(file, "$OUT/"+filepath.Base(file))
		}
	}
	// The longer path first: it may begin with the other.
	slices.SortStableFunc(list, func(a, b replacement) int { return len(b.path) - len(a.path) })
	return list
}

// replacement is a path and the variable, with what follows it, that takes its
// place.
type replacement struct{ path, by string }

type replacements []replacement

func (list *replacements) add(path, by string) {
	if filepath.IsAbs(path) && !slices.ContainsFunc(*list, func(r replacement) bool { return r.path == path }) {
		*list = append(*list, replacement{path, by})
	}
}

// inJSON are the replacements in a JSON text.
func inJSON(list replacements) replacements {
	var out replacements
	for _, r := range list {
		variable, rest, _ := strings.Cut(r.by, "/")
		by := "$JSON_" + variable[1:]
		if rest != "" {
			by += "/" + strings.Trim(jsonText(rest), `"`)
		}
		out.add(strings.Trim(jsonText(r.path), `"`), by)
	}
	return out
}

// jsonText is s as a JSON text, in the notation of json.Marshal.
func jsonText(s string) string {
	b, _ := json.Marshal(s) // of a text there is no error
	return string(b)
}

// quote is text as one word of sh, with its paths replaced.
func (list replacements) quote(text string) string {
	var out strings.Builder
	plain := 0 // where what is not written yet begins
	for i := 0; i < len(text); {
		r, ok := list.at(text[i:])
		if !ok {
			i++
			continue
		}
		if i > plain {
			out.WriteString(shellQuote(text[plain:i]))
		}
		variable, rest, _ := strings.Cut(r.by, "/")
		fmt.Fprintf(&out, `"%s"`, variable)
		if rest != "" {
			out.WriteString(shellQuote("/" + rest))
		}
		i += len(r.path)
		plain = i
	}
	if plain < len(text) || text == "" {
		out.WriteString(shellQuote(text[plain:]))
	}
	return out.String()
}

// at finds the replacement of a path at the beginning of text. A longer name
// that only begins like it is another path.
func (list replacements) at(text string) (replacement, bool) {
	for _, r := range list {
		if rest, ok := strings.CutPrefix(text, r.path); ok && (rest == "" || !nameByte(rune(rest[0])) && rest[0] != '.' && rest[0] != '-') {
			return r, true
		}
	}
	return replacement{}, false
}

// shellQuote is text as one word of sh.
func shellQuote(text string) string {
	if text != "" && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,+@%") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// oneLine is text for a comment.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' {
			return '?'
		}
		return c
	}, text)
}
