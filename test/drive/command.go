//go:build linux

package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// Said is what a command that ended said.
type Said struct {
	Code           int
	Stdout, Stderr string
}

// Command runs another verb of the program beside the run, with the run's
// register, and returns when it has ended. An exit code is no error.
func (r *Run) Command(ctx context.Context, args ...string) (Said, error) {
	cmd := exec.CommandContext(ctx, r.Binary, args...)
	cmd.Env = r.Environ()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return Said{exit.ExitCode(), out.String(), said.String()}, nil
	case err != nil:
		return Said{-1, out.String(), said.String()}, fmt.Errorf("coordinator %v: %w: %s", args, err, said.Bytes())
	}
	return Said{0, out.String(), said.String()}, nil
}
