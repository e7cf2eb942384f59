package execengine

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/redact"
	"gx1replay/internal/run"
)

// passedOn are what a command inherits of the worker's environment without
// being asked.
var passedOn = []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR"}

// envDefaults are set unless --exec-env or --slot-env set them. One thread each,
// because there is one command a core already; unbuffered, because a block of
// output that waits for the next 4 KiB is no progress.
var envDefaults = map[string]string{
	"PYTHONUNBUFFERED":       "1",
	"OMP_NUM_THREADS":        "1",
	"MKL_NUM_THREADS":        "1",
	"OPENBLAS_NUM_THREADS":   "1",
	"VECLIB_MAXIMUM_THREADS": "1",
	"NUMEXPR_NUM_THREADS":    "1",
}

// checkpointVar is the one variable of the protocol that --exec-env may set: a
// replay of half a bar a second wants a smaller step than ours.
const checkpointVar = "GX1_CHECKPOINT_EVERY_BARS"

// protocolVars are variables that speak of one attempt. They are never inherited:
// a worker that was itself started by a command, or in a shell where somebody
// tried one, would hand on another attempt's.
var protocolVars = []string{
	"GX1_STOP_REQUESTED", "GX1_RUN_ID", "GX1_CHUNK_ID", "GX1_REPLAY_PREGATE_ENABLED", checkpointVar,
	"GX1R_TASK_FILE", "GX1R_PROGRESS_FILE", "GX1R_FOOTER_FILE", "GX1R_STOP_FILE", "GX1R_ATTEMPT", "GX1R_SLOT",
}

// RunMark is the variable by which all processes of a run's commands are known.
func RunMark(id run.ID) string { return "GX1_RUN_ID=" + string(id) }

// envEntry is one --exec-env: a name or glob, or a name with a value.
type envEntry struct {
	pattern string
	value   string
	set     bool
}

// parseEnv reads one --exec-env.
func parseEnv(text string) (envEntry, error) {
	bad := func(what string) (envEntry, error) {
		return envEntry{}, fmt.Errorf("--exec-env %.80q: %s (want NAME, GLOB or NAME=VALUE)", redact.Var(text), what)
	}
	name, value, set := strings.Cut(text, "=")
	switch {
	case name == "":
		return bad("there is no name")
	case set && !envName(name):
		return bad(fmt.Sprintf("%.80q is no name of a variable", name))
	case set && strings.ContainsRune(value, 0):
		return bad("the value holds a zero byte")
	case set && name != checkpointVar && slices.Contains(protocolVars, name):
		return bad(name + " is the engine's own")
	case set || envName(name):
		return envEntry{name, value, set}, nil
	}
	for _, c := range name {
		if !nameByte(c) && !strings.ContainsRune("*?[]^-", c) {
			return bad(fmt.Sprintf("%q cannot stand in a name or glob", c))
		}
	}
	if _, err := path.Match(name, ""); err != nil || !strings.ContainsAny(name, "*?[") {
		return bad("it is neither a name nor a glob")
	}
	return envEntry{pattern: name}, nil
}

func nameByte(c rune) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
}

// envName says whether name can be that of a variable.
func envName(name string) bool {
	return name != "" && (name[0] < '0' || name[0] > '9') && strings.IndexFunc(name, func(c rune) bool { return !nameByte(c) }) < 0
}

// CheckEnv checks --exec-env before anything is started: names, globs, and
// the placeholders in values, except that the run's parameters and files are
// not known yet.
func CheckEnv(list []string) error {
	for _, text := range list {
		e, err := parseEnv(text)
		if err != nil {
			return err
		}
		_, err = expand(e.value, func(name string) (string, error) {
			if slices.Contains(placeholders, name) || strings.HasPrefix(name, paramPrefix) || strings.HasPrefix(name, filePrefix) {
				return "", nil
			}
			return "", unknown(name, append(slices.Clone(placeholders), paramPrefix+"NAME", filePrefix+"NAME"))
		})
		if err != nil {
			return fmt.Errorf("--exec-env %.80q: %w", redact.Var(text), err)
		}
	}
	return nil
}

// environment is what a command gets.
type environment struct {
	vars []string // NAME=value, sorted
	// withheld are the names, sorted, that were inherited and whose values did
	// not get through, unless the command line or the protocol set another.
	withheld []string
	// shown are the names of those vars whose values are no secrets of the user,
	// and may be kept: the protocol's, the defaults, and what the command line
	// sets to a harmless value. All else comes from the environment or may be a
	// secret.
	shown map[string]bool
}

// variable is one of an environment.
type variable struct {
	value string
	// chosen: by somebody who knew the inherited one; set: by --exec-env, to a
	// value.
	chosen, set, shown bool
}

// environ makes a command's environment: of inherited what list and the few
// names that every command gets let through, the values that list sets (with v's
// placeholders), those of slot (slotEnv, in turn, from slot 0 on), and own, the
// protocol's. The later ones win, except that list may set
// GX1_CHECKPOINT_EVERY_BARS. Of names that come twice the last counts, and in
// list a value more than a name or glob.
func environ(list []string, slotEnv map[string][]string, slot int, inherited []string, own map[string]string, v Values) (environment, error) {
	here := map[string]string{}
	for _, nv := range inherited {
		// What has no name or no = is no variable that a program could read.
		if name, value, ok := strings.Cut(nv, "="); ok && name != "" {
			here[name] = value
		}
	}
	out := map[string]variable{}
	for name, value := range envDefaults {
		out[name] = variable{value: value, shown: true}
	}
	let := func(name string) {
		if value, ok := here[name]; ok && !out[name].set && !slices.Contains(protocolVars, name) {
			usual, is := envDefaults[name]
			out[name] = variable{value: value, chosen: true, shown: is && value == usual}
		}
	}
	for _, name := range passedOn {
		let(name)
	}
	for _, text := range list {
		e, err := parseEnv(text)
		if err != nil {
			return environment{}, err
		}
		if !e.set {
			for name := range here {
				if ok, _ := path.Match(e.pattern, name); ok {
					let(name)
				}
			}
			continue
		}
		shown := redact.Var(text)
		value, err := Expand(e.value, v)
		if err != nil {
			return environment{}, fmt.Errorf("--exec-env %.80q: %w", shown, err)
		}
		out[e.pattern] = variable{value: value, chosen: true, set: true, shown: shown == text}
	}
	for _, name := range slices.Sorted(maps.Keys(slotEnv)) {
		values := slotEnv[name]
		if bad := badSlotEnv(name, values, slot); bad != "" {
			return environment{}, fmt.Errorf("--slot-env %.80q: %s (want NAME=VALUE,VALUE…)", name, bad)
		}
		text := name + "=" + strings.Join(values, ",")
		out[name] = variable{value: values[slot%len(values)], chosen: true, shown: redact.Var(text) == text}
	}
	for name, value := range own {
		if name != checkpointVar || !out[name].set {
			out[name] = variable{value: value, chosen: true, shown: true}
		}
	}
	env := environment{shown: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(out)) {
		env.vars = append(env.vars, name+"="+out[name].value)
		env.shown[name] = out[name].shown
	}
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if got, ok := out[name]; !got.chosen && (!ok || got.value != here[name]) {
			env.withheld = append(env.withheld, name)
		}
	}
	return env, nil
}

// badSlotEnv says what is wrong with a --slot-env; empty: nothing.
func badSlotEnv(name string, values []string, slot int) string {
	switch {
	case !envName(name):
		return "that is no name of a variable"
	case slices.Contains(protocolVars, name):
		return "that variable is the engine's own"
	case len(values) == 0:
		return "there is no value"
	case slot < 0:
		return "slot " + strconv.Itoa(slot) + " is none"
	case strings.ContainsRune(values[slot%len(values)], 0):
		return "a value holds a zero byte"
	}
	return ""
}
