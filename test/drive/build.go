package drive

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	_ "gx1replay/internal/cli" // so that no cached result of a test stands once the programs are others
)

// Root finds the module's root directory from the working directory.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", fmt.Errorf("finding the module: not in one")
	}
	return filepath.Dir(mod), nil
}

// Build builds gx1test into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	return build(ctx, filepath.Join(dir, "gx1test"), "./test/gx1test")
}

// BuildServer builds the plain NATS server into dir, of the version that the
// product embeds, and returns its path.
func BuildServer(ctx context.Context, dir string) (string, error) {
	return build(ctx, filepath.Join(dir, "nats-server"), "github.com/nats-io/nats-server/v2")
}

// BuildProduct builds coordinator and chunkworker into dir.
func BuildProduct(ctx context.Context, dir string) error {
	for _, name := range []string{"coordinator", "chunkworker"} {
		if _, err := build(ctx, filepath.Join(dir, name), "./cmd/"+name); err != nil {
			return err
		}
	}
	return nil
}

// build builds without -race, as users have the programs: with it, each of many
// processes takes a second to start. Go keeps in its cache what go run links, but
// not what go build links, so each package of tests copies one and the same file.
func build(ctx context.Context, path, pkg string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("building %s: %w", pkg, err)
	}
	cmd := exec.CommandContext(ctx, "go", "run", "-exec", "cp", pkg, path)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

var latencyLine = regexp.MustCompile(`(?m)^  latency: .*$`)

// WritePolicy writes the first example policy with another latency of the
// model to path.
func WritePolicy(path string, latency time.Duration) error {
	root, err := Root()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(root, "examples", "policies", "gated.yaml"))
	if err != nil {
		return fmt.Errorf("reading the example policy: %w", err)
	}
	if len(latencyLine.FindAll(text, -1)) != 1 {
		return fmt.Errorf("the example policy has no line for the model's latency, or several")
	}
	text = latencyLine.ReplaceAll(bytes.Clone(text), []byte("  latency: "+latency.String()))
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing a policy: %w", err)
	}
	return nil
}
