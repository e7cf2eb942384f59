//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/test/drive"
)

// way is one of the five ways to stop a run.
type way string

const (
	waySIGTERM way = "sigterm"
	waySIGINT  way = "sigint"
	wayPublish way = "publish" // on the stop subject, without credentials
	wayCommand way = "command" // coordinator stop
	wayTimeBox way = "timebox"
)

var ways = [...]way{waySIGTERM, waySIGINT, wayPublish, wayCommand, wayTimeBox}

// source is what the perf JSON calls it.
func (w way) source() string {
	switch w {
	case wayPublish, wayCommand:
		return "subject"
	case wayTimeBox:
		return "timeout"
	}
	return string(w)
}

// stop asks the run to stop, now or as soon as it can be asked. A run that
// has ended is no error.
func (w way) stop(ctx context.Context, r *drive.Run) error {
	switch w {
	case waySIGTERM:
		return r.Signal(syscall.SIGTERM)
	case waySIGINT:
		return r.Signal(syscall.SIGINT)
	case wayPublish:
		return publishStop(ctx, r)
	case wayCommand:
		return commandStop(ctx, r)
	}
	return nil // the time-box was given at the start
}

// publishStop does what the printed command does, with a plain core message.
func publishStop(ctx context.Context, r *drive.Run) error {
	url, err := r.URL(ctx)
	if errors.Is(err, drive.ErrExited) {
		return nil
	}
	if err != nil {
		return err
	}
	nc, err := nats.Connect(url, nats.Timeout(5*time.Second), nats.MaxReconnects(-1))
	if err == nil {
		defer nc.Close()
		if err = nc.Publish("gx1.stop."+r.RunID, []byte("campaign")); err == nil {
			err = nc.FlushTimeout(5 * time.Second)
		}
	}
	if err == nil {
		return nil
	}
	// Its server is gone only if it is ending by itself.
	select {
	case <-r.Exited():
		return nil
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
	}
	return fmt.Errorf("publishing the stop: %w, and the run goes on", err)
}

// commandStop runs `coordinator stop`, again if the run is not in the
// register yet.
func commandStop(ctx context.Context, r *drive.Run) error {
	for {
		begun := time.Now()
		cmd := exec.CommandContext(ctx, r.Binary, "stop", r.RunID, "--reason", "campaign")
		cmd.Env = []string{"XDG_RUNTIME_DIR=" + r.Runtime}
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("coordinator stop: %w", ctx.Err())
		case !errors.As(err, &exit) || exit.ExitCode() != 1:
			return fmt.Errorf("coordinator stop: %w: %s", err, said.Bytes())
		}
		select {
		case <-r.Exited():
			// It found the run gone, and must not have tried for long.
			if d := time.Since(begun); d > 5*time.Second {
				return fmt.Errorf("coordinator stop took %v to find that the run has ended: %s", d.Round(time.Millisecond), said.Bytes())
			}
			return nil
		default:
		}
	}
}

// freeAddress finds a port of the loopback that nobody uses at this moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
