package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/run"
)

func shaOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// A file is read again as soon as anything of it has changed, and only then.
func TestFileCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("weights"), 0o600))
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	must(t, os.Chtimes(path, past, past))
	var c fileCheck
	if !c.is(path, shaOf("weights")) || c.is(path, shaOf("another")) {
		t.Error("a file is not told by its digest")
	}
	if len(c.read) > 0 {
		t.Error("a file that has just been changed is taken for one that stays as it is")
	}

	// As it was read long ago: it is not read again.
	info, err := os.Stat(path)
	must(t, err)
	stamp, _ := stampOf(info)
	c.read = map[string]fileRead{path: {stamp, shaOf("read before")}}
	if !c.is(path, shaOf("read before")) {
		t.Error("a file that nobody has touched is read again")
	}

	// Other content of the same size, and the times put back.
	must(t, os.WriteFile(path, []byte("wEights"), 0o600))
	must(t, os.Chtimes(path, past, past))
	if c.is(path, shaOf("read before")) || c.is(path, shaOf("weights")) || !c.is(path, shaOf("wEights")) {
		t.Error("a file that was changed, and its times put back, is not read again")
	}
	if err := c.check(path, shaOf("weights")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is %v (want one that names %s)", err, path)
	}
	if c.has(path, run.CommandFile{Bytes: 8, SHA256: shaOf("wEights")}) {
		t.Error("a file of another size is taken for the one that was shipped")
	}
}
