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

// following is how many lines a value may be behind the line of its name.
const following = 8

// suspect says whether a line may hold a secret or its name. The expressions are
// slow, and logs are long.
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

// lines redacts lines that are suspect.
func lines(text string) string {
	text = userInURL.ReplaceAllString(text, "://"+Removed+"@")
	text = userWithSlash.ReplaceAllString(text, "://"+Removed+"@")
	text = named(text, inQuery, func(name, _ string) bool { return queryNames[strings.ToLower(name)] || secretName(name) })
	text = header.ReplaceAllString(text, "${1}"+Removed)
	text = bearer.ReplaceAllString(text, "${1}"+Removed)
	text = named(text, wholeLine, secret)
	text = named(text, pair, secret)
	text = named(text, flag, func(name, value string) bool { return !strings.HasPrefix(value, "--") && secret(name, value) })
	return knownForm.ReplaceAllString(text, Removed)
}

// bare is a value without quotes, in a text: its end is a blank or what ends a
// value in JSON, a shell and a log.
const bare = `[^\s"',;&}\]\\]+`

// quotable is a value, in quotes or not. Quotes may be escaped, as in a JSON
// text within another one.
const quotable = `\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|` + bare

var (
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*(?:PRIVATE KEY|SEED|JWT)[A-Z ]*-----.*?(?:-----END [A-Z ]*-----|$)`)
	userInURL  = regexp.MustCompile("://[^\\s\"'`<>/?#]*@")
	// A password with a slash, which a URL cannot hold and users type.
	userWithSlash = regexp.MustCompile("://[^\\s\"'`<>/?#@:\\[]+:[^\\s\"'`<>@,]*@")
	inQuery       = regexp.MustCompile(`([?&])([A-Za-z][\w.-]*)(=)([^&\s"'#\\]+)`)
	// The rest of the line is the value of these headers; it may have blanks.
	header = regexp.MustCompile(`(?i)((?:authorization|cookie2?|x-auth-[a-z-]+|x-api-key|x-[a-z-]*token)\\?["']?\s*[:=]\s*\\?["']?)[^\s"'\\][^"'\n\r\\]*`)
	bearer = regexp.MustCompile(`(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{4,}`)
	// A line of YAML or of a configuration: the rest of the line is the value.
	wholeLine = regexp.MustCompile(`(?m)(^[ \t]*(?:- )?)([A-Za-z][\w.-]*)(:[ \t]+)([^\s"'|>{\[&*#][^\n\r]*)`)
	pair      = regexp.MustCompile(`(^|[^A-Za-z0-9_.-])(-{0,2}[A-Za-z_][\w.-]*)(\\?["']?\s*[=:]\s*)(` + quotable + `)`)
	// Two words of a command line, or of a list in JSON.
	flag = regexp.MustCompile(`(^|[^A-Za-z0-9_.-])(--?[A-Za-z][\w.-]*)(\\?["'],\s*|\s+)(` + quotable + `)`)

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

// named removes the values of secrets that re finds. The groups of re are what
// stands before the name, the name, the separator and the value. A value that is
// kept is looked at again: it may hold another name.
func named(text string, re *regexp.Regexp, secret func(name, value string) bool) string {
	var out strings.Builder
	for {
		at := re.FindStringSubmatchIndex(text)
		if at == nil {
			out.WriteString(text)
			return out.String()
		}
		name, value := text[at[4]:at[5]], text[at[8]:at[9]]
		quote := ""
		for _, q := range []string{`\"`, `"`, `'`} {
			if len(value) >= 2*len(q) && strings.HasPrefix(value, q) && strings.HasSuffix(value, q) {
				quote, value = q, value[len(q):len(value)-len(q)]
				break
			}
		}
		out.WriteString(text[:at[8]])
		if !harmless(value) && secret(strings.TrimLeft(name, "-"), value) {
			out.WriteString(quote + Removed + quote)
			text = text[at[9]:]
		} else {
			text = text[at[8]:]
		}
	}
}

// secret says whether a value of that name is to be removed.
func secret(name, value string) bool {
	return secretName(name) || keyName(name) && random(value)
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
