package embedded

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestWriteContext(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0", Strangers: strangers})
	home := t.TempDir()
	var path string
	for range 2 { // the second replaces the first
		var err error
		if path, err = s.WriteContext(home, "pilot_on"); err != nil {
			t.Fatal(err)
		}
	}
	if want := filepath.Join(home, "nats", "context", "pilot_on.json"); path != want {
		t.Errorf("path %s (want %s)", path, want)
	}
	if m := mode(t, path); m != 0o600 {
		t.Errorf("mode %o (want 600)", m)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Description, URL, NKey string }
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	if c.Description == "" || !filepath.IsAbs(c.NKey) {
		t.Errorf("description %q, nkey %q (want a text and an absolute path)", c.Description, c.NKey)
	}
	// What it says is enough to be let in.
	opt, err := nats.NkeyOptionFromSeed(c.NKey)
	if err != nil {
		t.Fatal(err)
	}
	makeStream(t, dial(t, c.URL, opt), "x")
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("%d files in the directory (want 1)", len(list))
	}
}

func TestWriteContextRefuses(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0"})
	home := t.TempDir()
	for _, name := range []string{"", ".", "..", "a/b", "../up"} {
		if path, err := s.WriteContext(home, name); err == nil {
			t.Errorf("name %q was taken: %s", name, path)
		}
	}
	if path, err := start(t, Config{}).WriteContext(home, "r"); err == nil {
		t.Errorf("a server without a port has a context: %s", path)
	}
}
