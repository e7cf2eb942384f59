package policy

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabel is the longest name, version, instrument or timeframe in
// characters: they stand in reports, one line each.
const maxLabel = 200

// label reads a text that names something.
func (s *section) label(key string) string {
	v := s.take(key)
	text := s.text(key)
	if text != "" && !isLabel(text) {
		s.bad(v, key, "a name", fmt.Sprintf("one line of at most %d printable characters", maxLabel))
		return ""
	}
	return text
}

func isLabel(text string) bool {
	return utf8.RuneCountInString(text) <= maxLabel && strings.TrimSpace(text) != "" &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// fileLabel is the label of a policy that names itself nowhere: its file's
// name without the extension.
func fileLabel(path string) string {
	base := filepath.Base(path)
	base = strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml")
	if base = strings.ToValidUTF8(base, "_"); isLabel(base) {
		return base
	}
	return "policy"
}
