package examples

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gx1replay/test/drive"
)

// built is the directory of both programs.
var built string

func TestMain(m *testing.M) {
	drive.Main(m, 0, func(ctx context.Context, dir string) error {
		built = dir
		return drive.BuildProduct(ctx, dir)
	})
}

// root is the module's directory; tests run in their package's.
const root = "../.."

// patience is far above what anything here takes; what hangs is a failure.
const patience = 2 * time.Minute

// pythonPath finds the interpreter itself once, where python3 is only a script
// that chooses one.
var pythonPath = sync.OnceValue(func() string {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.version_info >= (3, 8) and sys.executable or '')").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
})

func python(t *testing.T) string {
	t.Helper()
	path := pythonPath()
	if path == "" {
		t.Skip("there is no python3, or it is older than 3.8")
	}
	return path
}

func example(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// install puts both programs into dir.
func install(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"coordinator", "chunkworker"} {
		if err := link(filepath.Join(built, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// link makes a hard link, or a copy where that cannot be.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
