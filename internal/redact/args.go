package redact

import (
	"regexp"
	"strings"
)

// Args returns an argument vector without secrets, of the same length. It does
// not change argv.
func Args(argv []string) []string {
	if argv == nil {
		return nil
	}
	out := make([]string, len(argv))
	last := "" // the flag that this argument may be the value of
	for i, arg := range argv {
		flag := last
		last = ""
		if name, ok := flagName(arg); ok {
			last = name
		}
		switch {
		case flag != "" && !strings.HasPrefix(arg, "--"):
			out[i] = flagValue(flag, arg)
		default:
			out[i] = oneArg(arg)
		}
	}
	return out
}

// flagName is the name of a flag whose value would be the next argument.
func flagName(arg string) (string, bool) {
	name := strings.TrimLeft(arg, "-")
	return name, len(name) < len(arg) && name != "" && !strings.ContainsAny(name, "= \t\n:")
}

func flagValue(flag, value string) string {
	switch {
	case harmless(value):
		return value
	case flag == "H" || flag == "header" || flag == "headers" || flag == "proxy-header":
		return Header(value)
	case flag == "u" || flag == "U" || flag == "user" || flag == "proxy-user":
		if user, _, ok := strings.Cut(value, ":"); ok && !strings.Contains(value, "/") {
			return user + ":" + Removed
		}
	case flag == "exec-env" || flag == "slot-env" || flag == "env" || flag == "e" && variable.MatchString(value):
		return Var(value)
	case flag == "nats" || flag == "server" || flag == "url":
		return URLs(value)
	case secret(flag, value):
		return Removed
	}
	return oneArg(value)
}

func oneArg(arg string) string {
	if g := assigned.FindStringSubmatch(arg); g != nil {
		name, value := g[1], g[2]
		if bare := strings.TrimLeft(name, "-"); bare != name {
			return name + "=" + flagValue(bare, value)
		}
		if !harmless(value) && secret(name, value) {
			return name + "=" + Removed
		}
	}
	if userAtHost.MatchString(arg) {
		return URLs(arg)
	}
	return Text(arg)
}

var (
	assigned   = regexp.MustCompile(`(?s)^(-{0,2}[A-Za-z_][\w.-]*)=(.*)$`)
	userAtHost = regexp.MustCompile(`^[^\s/@:]+:[^\s@]+@[^\s@/]+$`)
	variable   = regexp.MustCompile(`^[A-Za-z_]\w*=`)
	// plainValue is what a variable may show: a small number or several.
	plainValue = regexp.MustCompile(`^[0-9]{1,4}(?:,[0-9]{1,4})*$`)
)

// Var returns NAME=VALUE without the value, unless that is a small number, a
// truth value or a placeholder and the name is not that of a secret. Without a =
// it is a name, and stays.
func Var(text string) string {
	name, value, ok := strings.Cut(text, "=")
	if !ok || harmless(value) || plainValue.MatchString(value) && !secretName(name) {
		return text
	}
	return name + "=" + Removed
}

// Header returns "Name: value" without a value that lets somebody in.
func Header(text string) string {
	name, value, ok := strings.Cut(text, ":")
	if !ok {
		return Text(text)
	}
	value = strings.TrimSpace(value)
	if !harmless(value) && (secretName(strings.TrimSpace(name)) || keyName(name)) {
		return name + ": " + Removed
	}
	return Text(text)
}
