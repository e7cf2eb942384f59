//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// bug is a deliberate mistake in one source file of the product.
type bug struct {
	name string // letters, digits and -
	what string // the mistake, in words
	file string // from the module's root
	subs []substitution
	// command catches it, run in the module's root.
	command []string
	// says is what the command has to say then.
	says string
}

// substitution puts a text in place of another, which must stand in the file
// exactly once.
type substitution struct{ old, new string }

// errMissed: the command did not catch the bug.
var errMissed = errors.New("it is not caught")

func (b bug) tag() string { return "gx1bug_" + strings.ReplaceAll(b.name, "-", "_") }

// apply returns the source with the bug in it.
func (b bug) apply(source string) (string, error) {
	for _, s := range b.subs {
		if n := strings.Count(source, s.old); n != 1 {
			return "", fmt.Errorf("%s: this stands there %d times, and was to stand there once:\n%s", b.file, n, s.old)
		}
		source = strings.Replace(source, s.old, s.new, 1)
	}
	return source, nil
}

// show runs the command without the bug, where it has to pass, and with it,
// where it has to fail. said is the line by which the bug was told, or, with
// an error, all that the command said.
func (b bug) show(ctx context.Context, root string) (said string, err error) {
	dir, err := os.MkdirTemp("", "gx1-bug-")
	if err != nil {
		return "", fmt.Errorf("making a directory for the overlay: %w", err)
	}
	defer os.RemoveAll(dir)
	overlay, err := b.overlay(root, dir)
	if err != nil {
		return "", err
	}
	if all, err := b.try(ctx, root, dir, "-overlay="+overlay); err != nil {
		return all, fmt.Errorf("without the bug %s fails: %w", strings.Join(b.command, " "), err)
	}
	all, err := b.try(ctx, root, dir, "-overlay="+overlay, "-tags="+b.tag())
	var exit *exec.ExitError
	switch {
	case err == nil:
		return all, fmt.Errorf("%w: with the bug %s passes", errMissed, strings.Join(b.command, " "))
	case !errors.As(err, &exit) || ctx.Err() != nil:
		return all, fmt.Errorf("running %s: %w", strings.Join(b.command, " "), err)
	}
	for line := range strings.Lines(all) {
		if strings.Contains(line, b.says) {
			return strings.TrimSpace(line), nil
		}
	}
	return all, fmt.Errorf("%w: with the bug %s fails, and does not say %q", errMissed, strings.Join(b.command, " "), b.says)
}

// overlay writes both versions of the file and says where they stand in for
// it.
func (b bug) overlay(root, dir string) (path string, err error) {
	file := filepath.Join(root, b.file)
	source, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the source: %w", err)
	}
	if bytes.Contains(source, []byte("//go:build")) {
		return "", fmt.Errorf("%s has a build constraint of its own", b.file)
	}
	wrong, err := b.apply(string(source))
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, v := range []struct{ at, name, constraint, text string }{
		{file, "right.go", "!" + b.tag(), string(source)},
		{strings.TrimSuffix(file, ".go") + "_" + b.tag() + ".go", "wrong.go", b.tag(), wrong},
	} {
		replace[v.at] = filepath.Join(dir, v.name)
		if err := os.WriteFile(replace[v.at], []byte("//go:build "+v.constraint+"\n\n"+v.text), 0o644); err != nil {
			return "", fmt.Errorf("writing the overlay: %w", err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	path = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	return path, nil
}

// try runs the command with further flags for every go command in it, also
// for those that it runs itself. What it leaves goes with dir.
func (b bug) try(ctx context.Context, root, dir string, flags ...string) (all string, err error) {
	cmd := exec.CommandContext(ctx, b.command[0], b.command[1:]...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GX1R_TEST=all", "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" "+strings.Join(flags, " ")), "TMPDIR="+dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends what it started
	cmd.WaitDelay = waitDelay
	out, err := cmd.CombinedOutput()
	return string(out), err
}
