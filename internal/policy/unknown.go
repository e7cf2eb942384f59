package policy

import (
	"fmt"
	"slices"
	"strings"

	"gx1replay/internal/nearest"
)

// nearLetters is how many letters a key may differ from one of ours to be taken
// for a misspelling of it where other programs have keys, too.
const nearLetters = 2

// shared are the sections in which other programs have keys of their own. Every
// other section that this program reads is its own.
var shared = [...]string{"", "replay_config", "execution", exitConfig, exitConfig + ".exit"}

// originalKeys are keys that the original has in sections that are ours. They
// have no effect here.
var originalKeys = [...]string{gatePath + ".warmup_ready_required", "entry.stage0", "replay.dump_journal"}

// misspelt says why an unknown key of s is taken for a misspelling; empty: it
// may be another program's.
func (s *section) misspelt(key string) string {
	const lenient = "--lenient ignores unknown keys"
	if slices.Contains(originalKeys[:], s.at(key)) {
		return ""
	}
	known := make([]string, 0, len(s.seen))
	for name := range s.seen {
		known = append(known, name)
	}
	slices.Sort(known)
	near := ""
	if len(key) <= maxKey {
		near = nearest.Of(key, known)
	}
	if slices.Contains(shared[:], s.path) {
		d := nearest.Distance(key[:min(len(key), maxKey)], near)
		if near == "" || d > nearLetters || 2*d > len(key) {
			return ""
		}
	}
	if near != "" {
		return fmt.Sprintf("is an unknown key (want %s, the nearest one; %s)", near, lenient)
	}
	return fmt.Sprintf("is an unknown key (want %s; %s)", strings.Join(known, ", "), lenient)
}
