// Package redact takes secrets out of what is printed or kept: texts, URLs,
// argument vectors, variables and headers. It is pure.
//
// It works by names (password, token, Authorization, …) and by forms (keys of
// clouds and services, tokens, seeds, private keys, user:password@ in a URL). What
// looks like a secret is removed, even where it is none. A secret without a name
// and without a known form is not found.
package redact

import (
	"regexp"
	"strings"
)

// Removed stands in a secret's place. Programs refuse arguments that hold it:
// such a command line was pasted without its secrets.
const Removed = "[removed]"

// Text returns text without secrets.
func Text(text string) string {
	if strings.Contains(text, "-----BEGIN") {
		text = privateKey.ReplaceAllString(text, Removed)
	}
	text = blocks(text)
	var out strings.Builder
	begin, at, left := 0, 0, 0 // the lines from begin to at are of one kind; left: how many are still suspect
	flush := func(suspect bool) {
		part := text[begin:at]
		if suspect {
			part = lines(part)
		}
		out.WriteString(part)
		begin = at
	}
	for line := range strings.SplitAfterSeq(text, "\n") {
		if suspect(line) {
			if left == 0 {
				flush(false)
			}
			left = 1 + following
		}
		at += len(line)
		if left > 0 {
			if left--; left == 0 {
				flush(true)
			}
		}
	}
	flush(left > 0)
	return out.String()
}

// following is how many lines behind its name a value may be.
const following = 8

// suspect finds lines that may hold a secret or its name: the expressions are slow,
// and logs are long.
func suspect(line string) bool {
	for _, sign := range signs {
		if strings.Contains(line, sign) {
			return true
		}
	}
	line = strings.ToLower(line)
	for _, sign := range lowSigns {
		if strings.Contains(line, sign) {
			return true
		}
	}
	return false
}

var (
	signs    = []string{"@", "?", "SA", "SU", "SC", "SO", "SN", "SX", "eyJ", "AKIA", "ASIA", "ABIA", "ACCA"}
	lowSigns = []string{"pass", "pwd", "pw", "token", "secret", "key", "auth", "cookie", "jwt", "bearer", "cred", "aiza", "ya29.", "gocspx-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
		"github_pat_", "glpat-", "xox", "slack.com", "_live_", "_test_", "sk-", "npm_", "pypi-", "hf_"}
)

func lines(text string) string {
	text = users(text)
	text = named(text, inQuery, queryValue)
	text = header.ReplaceAllString(text, "${1}"+Removed)
	text = bearer.ReplaceAllString(text, "${1}"+Removed)
	text = named(text, wholeLine, lineValue)
	text = named(text, pair, anyValue)
	text = named(text, flag, anyValue)
	return knownForm.ReplaceAllString(text, Removed)
}

// bare is a value without quotes, in a text: its end is a blank or what ends a
// value in JSON, a shell and a log.
const bare = `[^\s"',;&}\]\\]+`

// quotable is a value, in quotes or not. Quotes may be escaped, as in a JSON
// text within another one.
const quotable = `^(?:\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|` + bare + `)`

var (
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*(?:PRIVATE KEY|SEED|JWT)[A-Z ]*-----.*?(?:-----END [A-Z ]*-----|$)`)
	inQuery    = regexp.MustCompile(`([?&])([A-Za-z][\w.-]*)(=)`)
	// The rest of the line is the value of these headers; it may have blanks.
	header = regexp.MustCompile(`(?i)((?:authorization|cookie2?|x-auth-[a-z-]+|x-api-key|x-[a-z-]*token)\\?["']?\s*[:=]\s*\\?["']?)[^\s"'\\][^"'\n\r\\]*`)
	bearer = regexp.MustCompile(`(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{4,}`)
	// A line of YAML or of a configuration: the rest of the line is the value.
	wholeLine = regexp.MustCompile(`(?m)(^[ \t]*(?:- )?)([A-Za-z][\w.-]*)(:[ \t]+)`)
	pair      = regexp.MustCompile(`(^|[^A-Za-z0-9_.-])(-{0,2}[A-Za-z_][\w.-]*)(\\?["']?\s*[=:]\s*)`)
	// Two words of a command line, or of a list in JSON.
	flag = regexp.MustCompile(`(^|[^A-Za-z0-9_.-])(--?[A-Za-z][\w.-]*)(\\?["'],\s*|\s+)`)

	queryValue = regexp.MustCompile(`^[^&\s"'#\\]+`)
	lineValue  = regexp.MustCompile(`^[^\s"'|>{\[&*#][^\n\r]*`)
	anyValue   = regexp.MustCompile(quotable)

	// knownForm are secrets that are known by their look.
	knownForm = regexp.MustCompile(strings.Join([]string{
		`\bS[AUCONX][A-Z2-7]{50,}`,                          // seeds of nkeys
		`\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){1,2}`,   // JSON web tokens
		`\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b`,           // AWS access key ids
		`\bAIza[0-9A-Za-z_-]{35}`,                           // Google API keys
		`\bya29\.[0-9A-Za-z_-]{10,}`, `\bGOCSPX-[\w-]{10,}`, // Google OAuth
		`\bgh[pousr]_[A-Za-z0-9]{20,}`,                        // GitHub
		`\bgithub_pat_[A-Za-z0-9_]{20,}`,                      // GitHub
		`\bglpat-[A-Za-z0-9_-]{20,}`,                          // GitLab
		`\bxox[a-z]-[A-Za-z0-9-]{10,}`,                        // Slack
		`\bhooks\.slack\.com/services/[A-Za-z0-9/_-]+`,        // Slack
		`\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}`,              // Stripe
		`\bsk-[A-Za-z0-9_-]{20,}`,                             // keys of model services
		`\bnpm_[A-Za-z0-9]{30,}`, `\bpypi-[A-Za-z0-9_-]{40,}`, // registries
		`\bhf_[A-Za-z0-9]{30,}`, // Hugging Face
	}, "|"))
)

// queryNames are names of query values that say nothing elsewhere.
var queryNames = map[string]bool{"key": true, "sig": true, "signature": true, "x-amz-signature": true, "x-amz-credential": true, "x-goog-signature": true, "auth": true, "code": true}

// named removes the values of secrets. re has the groups prefix, name, separator;
// value matches what follows. A kept value is searched, too.
func named(text string, re, value *regexp.Regexp) string {
	var out strings.Builder
	for {
		at := re.FindStringSubmatchIndex(text)
		if at == nil {
			out.WriteString(text)
			return out.String()
		}
		name := strings.TrimLeft(text[at[4]:at[5]], "-")
		out.WriteString(text[:at[7]])
		text = text[at[7]:]
		sure := secretName(name) || re == inQuery && queryNames[strings.ToLower(name)]
		if !sure && !keyName(name) {
			continue
		}
		from := text
		if !sure {
			from = text[:min(len(text), maxKey)]
		}
		n := len(value.FindString(from))
		v, quote := from[:n], ""
		for _, q := range []string{`\"`, `"`, `'`} {
			if len(v) >= 2*len(q) && strings.HasPrefix(v, q) && strings.HasSuffix(v, q) {
				quote, v = q, v[len(q):len(v)-len(q)]
				break
			}
		}
		if harmless(v) || !sure && !random(v) || re == flag && strings.HasPrefix(v, "--") {
			continue
		}
		out.WriteString(quote + Removed + quote)
		text = text[n:]
	}
}

// maxKey bounds what is looked at behind a name that may be that of a key.
const maxKey = 256

func secret(name, value string) bool {
	return secretName(name) || keyName(name) && random(value)
}

// users removes what is between :// and the @ of a host. A password that a user
// typed may hold a slash.
func users(text string) string {
	var out strings.Builder
	for {
		i := strings.Index(text, "://")
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		i += len("://")
		out.WriteString(text[:i])
		text = text[i:]
		url := text
		if next := strings.Index(url, "://"); next >= 0 {
			url = url[:next]
		}
		if end := strings.IndexAny(url, " \t\r\n\"'`<>"); end >= 0 {
			url = url[:end]
		}
		host := url
		if end := strings.IndexAny(host, "/?#"); end >= 0 {
			host = host[:end]
		}
		at := strings.LastIndexByte(host, '@')
		if at < 0 && strings.Contains(host, ":") && host[0] != '[' {
			if at = strings.IndexByte(url, '@'); at >= 0 && strings.Contains(url[:at], ",") {
				at = -1
			}
		}
		if at >= 0 {
			out.WriteString(Removed)
			text = text[at:]
		}
	}
}

// blocks removes what stands below a name of YAML that is followed by | or >.
func blocks(text string) string {
	if !strings.Contains(text, ": |") && !strings.Contains(text, ": >") && !strings.Contains(text, ":|") && !strings.Contains(text, ":>") {
		return text
	}
	var out []string
	within := -1 // the indent of the name whose block this is
	for line := range strings.SplitAfterSeq(text, "\n") {
		body := strings.TrimLeft(line, " \t")
		indent := len(line) - len(body)
		if within >= 0 && (indent > within || strings.TrimSpace(body) == "") {
			continue
		}
		within = -1
		if g := blockStart.FindStringSubmatch(line); g != nil && secretName(g[2]) {
			within = indent
			line = g[1] + g[2] + ": " + Removed + "\n"
		}
		out = append(out, line)
	}
	return strings.Join(out, "")
}

var blockStart = regexp.MustCompile(`(?m)^([ \t]*(?:- )?)([A-Za-z][\w.-]*): ?[|>][-+0-9]*[ \t]*\r?$`)

// URLs returns a URL, or several with commas, without user names, passwords,
// tokens and signed queries. A URL of NATS may lack its scheme.
func URLs(urls string) string {
	var list []string
	for text := range strings.SplitSeq(urls, ",") {
		if n := len(list); n > 0 && strings.Contains(text, "@") && !strings.Contains(text, "://") && !strings.Contains(list[n-1], "@") {
			list[n-1] += "," + text // a password with a comma
			continue
		}
		list = append(list, text)
	}
	for i, text := range list {
		scheme := ""
		if at := strings.Index(text, "://"); at >= 0 {
			scheme, text = text[:at+3], text[at+3:]
		}
		if at := strings.LastIndex(text, "@"); at >= 0 {
			text = Removed + text[at:]
		}
		list[i] = Text(scheme + text)
	}
	return strings.Join(list, ",")
}
