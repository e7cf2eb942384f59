package execengine

import (
	"testing"

	"gx1replay/internal/safefile"
)

// in opens a directory of a command for the time of the test.
func in(tb testing.TB, path string) *safefile.Dir {
	tb.Helper()
	d, err := safefile.OpenDir(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}
