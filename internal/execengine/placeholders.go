package execengine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gx1replay/internal/redact"
)

// Values are what placeholders stand for in one attempt, by their names
// without braces: task, run_id, …, param.NAME, file.NAME.
type Values map[string]string

// placeholders are the names that every attempt has.
var placeholders = []string{
	"task", "run_id", "chunk_idx", "attempt", "slot", "data", "slice", "policy", "out_dir",
	"start_ts", "end_ts", "load_start_ts",
}

// The run's own values: --param and --exec-file.
const (
	paramPrefix = "param."
	filePrefix  = "file."
)

// Expand replaces the placeholders of text. {{ is a literal {, and }} a
// literal } where it closes a {{; other braces, as of JSON, stay as they are.
// A name that v does not have is an error that lists what there is.
func Expand(text string, v Values) (string, error) {
	out, err := expand(text, func(name string) (string, error) {
		value, ok := v[name]
		if !ok {
			return "", unknown(name, slices.Sorted(maps.Keys(v)))
		}
		return value, nil
	})
	if err == nil && strings.ContainsRune(out, 0) {
		err = errors.New("it holds a zero byte")
	}
	return out, err
}

// expand walks through text and calls value for each placeholder. Its error does
// not hold the text, which may be a secret.
func expand(text string, value func(name string) (string, error)) (string, error) {
	var out strings.Builder
	open := 0 // {{ without its }}
	for i := 0; i < len(text); {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, "{{"):
			out.WriteByte('{')
			open++
			i += 2
			continue
		case open > 0 && strings.HasPrefix(rest, "}}"):
			out.WriteByte('}')
			open--
			i += 2
			continue
		}
		name, ok := placeholder(rest)
		if !ok {
			out.WriteByte(text[i])
			i++
			continue
		}
		s, err := value(name)
		if err != nil {
			return "", err
		}
		out.WriteString(s)
		i += len(name) + 2
	}
	return out.String(), nil
}

// placeholder is the name at the beginning of text, if what stands there in
// braces can be one: a letter, then letters, digits, _ . and -. So {2,3} of a
// regular expression and {"a": 1} are none.
func placeholder(text string) (name string, ok bool) {
	if text == "" || text[0] != '{' {
		return "", false
	}
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case i > 1 && c == '}':
			return text[1:i], true
		case i > 1 && (c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-'):
		default:
			return "", false
		}
	}
	return "", false
}

// unknown is the error of a placeholder that is not among known.
func unknown(name string, known []string) error {
	for i, k := range known {
		known[i] = "{" + k + "}"
	}
	return fmt.Errorf("{%.80s} is no placeholder (want one of %s; {{%.80s}} for the text itself)", name, strings.Join(known, " "), name)
}

// Uses says whether one of args names that placeholder.
func Uses(args []string, name string) bool {
	used := false
	for _, a := range args {
		// The only errors are value's, which gives none.
		_, _ = expand(a, func(n string) (string, error) {
			used = used || n == name
			return "", nil
		})
	}
	return used
}

// CheckArgs checks an argument vector before anything is started: there is a
// program, its name is no placeholder (what comes from the run never chooses a
// program), and all placeholders are known, of params and files those that
// the run has.
func CheckArgs(args []string, params, files []string) error {
	if len(args) == 0 || args[0] == "" {
		return errors.New("there is no command (want -- CMD ARGS…)")
	}
	known := slices.Clone(placeholders)
	for _, name := range params {
		known = append(known, paramPrefix+name)
	}
	for _, name := range files {
		known = append(known, filePrefix+name)
	}
	for i, a := range args {
		_, err := expand(a, func(name string) (string, error) {
			switch {
			case i == 0:
				return "", fmt.Errorf("{%.80s} in the program's name (want a fixed name: data never chooses a program)", name)
			case slices.Contains(known, name):
				return "", nil
			case strings.HasPrefix(name, paramPrefix):
				return "", fmt.Errorf("{%.80s}: there is no --param %.80s=VALUE", name, name[len(paramPrefix):])
			case strings.HasPrefix(name, filePrefix):
				return "", fmt.Errorf("{%.80s}: there is no --exec-file %.80s=PATH", name, name[len(filePrefix):])
			}
			return "", unknown(name, slices.Clone(known))
		})
		if err == nil && strings.ContainsRune(a, 0) {
			err = errors.New("it holds a zero byte")
		}
		if err != nil {
			return fmt.Errorf("argument %d of the command: %.200q: %w", i, redact.Args(args)[i], err)
		}
	}
	return nil
}
