package redact

import (
	"regexp"
	"strings"
)

// secretWords make a name that of a secret, secretParts anywhere in a word, as in
// PGPASSWORD.
var (
	secretWords = map[string]bool{"pass": true, "pwd": true, "pw": true, "token": true, "bearer": true, "authorization": true, "cookie": true, "jwt": true, "credential": true, "credentials": true}
	secretParts = []string{"password", "passwd", "passphrase", "passcode", "secret", "apikey", "accesskey", "privatekey", "authkey"}
	secretEnds  = []string{"token", "pwd", "pass"}
	// notEnds are no secrets.
	notEnds = map[string]bool{"bypass": true, "compass": true}
	// keyOf are the words before "key" that make it a secret one.
	keyOf = map[string]bool{"api": true, "access": true, "private": true, "auth": true, "account": true, "signing": true, "encryption": true, "session": true, "subscription": true, "storage": true, "service": true, "master": true}
	// noSecret are last words of names that speak of a secret and hold none.
	noSecret = map[string]bool{
		"file": true, "files": true, "path": true, "dir": true, "name": true, "env": true, "ttl": true, "type": true, "count": true, "size": true, "limit": true, "len": true,
		"length": true, "url": true, "uri": true, "endpoint": true, "expiry": true, "expires": true, "timeout": true,
	}
	camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

func words(name string) []string {
	name = camel.ReplaceAllString(name, "${1}_$2")
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '_' || r == '-' || r == '.' })
}

func secretName(name string) bool {
	list := words(name)
	if len(list) == 0 || noSecret[list[len(list)-1]] {
		return false
	}
	if list[len(list)-1] == "auth" {
		return true
	}
	for i, word := range list {
		if secretWords[word] || i > 0 && word == "key" && keyOf[list[i-1]] {
			return true
		}
		for _, part := range secretParts {
			if strings.Contains(word, part) {
				return true
			}
		}
		for _, end := range secretEnds {
			if strings.HasSuffix(word, end) && !notEnds[word] {
				return true
			}
		}
	}
	return false
}

// keyName: a value of that name is a secret if it looks like one.
func keyName(name string) bool {
	list := words(name)
	return len(list) > 0 && list[len(list)-1] == "key"
}

// random: a value is long, with digits and letters, and no path.
func random(value string) bool {
	return len(value) >= 16 && !strings.ContainsAny(value[:1], "/.~") && strings.ContainsAny(value, "0123456789") &&
		strings.ContainsAny(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") && keyChars.MatchString(value)
}

var keyChars = regexp.MustCompile(`^[A-Za-z0-9_+/=.-]+$`)

// harmless: nothing, a truth value, a placeholder of ours or a path below one, a
// variable of a shell, or what was redacted.
func harmless(value string) bool {
	switch strings.ToLower(value) {
	case "", "true", "false", "null", "none", "nil", "[removed", Removed:
		return true
	}
	return placeholder.MatchString(value)
}

var placeholder = regexp.MustCompile(`^(?:\{[a-z_]+(?:\.[\w.-]+)?\}?(?:/[\w.-]*)*|\$[A-Za-z_]\w*|\$\{[A-Za-z_][^}]*\}?)$`)
