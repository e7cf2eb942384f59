package cli

import "regexp"

// Secrets that may stand in logs, files and command lines. What looks like one
// goes, also where it is none.
var (
	userInURL  = regexp.MustCompile(`://[^/@\s"']+@`)
	nkeySeed   = regexp.MustCompile(`\bS[AUCONX][A-Z2-7]{50,}`)
	webToken   = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]+){1,2}`)
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*(?:PRIVATE KEY|SEED|JWT)[A-Z ]*-----.*?(?:-----END [A-Z ]*-----|$)`)
	// A name that says so, and its value behind = or :, in quotes or not.
	namedValue = regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key)[a-z0-9_-]*\\?["']?\s*[=:]\s*\\?["']?)[^\s"',;&}\]\\]+`)
	// The same as two arguments of a list in JSON, or on a command line.
	namedArg = regexp.MustCompile(`(?i)(--?[a-z0-9-]*(?:password|passwd|passphrase|secret|token|credential|api-?key|access-?key)[a-z0-9-]*(?:\\?["'],\s*\\?["']|\s+\\?["']?))[^\s"',\]\\]+`)
)

// removed is what stands in a secret's place.
const removed = "[removed]"

// redact takes out of a text what looks like a secret.
func redact(text []byte) []byte {
	text = privateKey.ReplaceAll(text, []byte(removed))
	text = userInURL.ReplaceAll(text, []byte("://"+removed+"@"))
	text = nkeySeed.ReplaceAll(text, []byte(removed))
	text = webToken.ReplaceAll(text, []byte(removed))
	text = namedValue.ReplaceAll(text, []byte("${1}"+removed))
	return namedArg.ReplaceAll(text, []byte("${1}"+removed))
}
