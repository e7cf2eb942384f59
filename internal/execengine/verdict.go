package execengine

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"gx1replay/internal/process"
)

// ending is all that decides how an attempt ended.
type ending struct {
	exit     process.Exit
	started  error // why the command could not be started
	footer   *Report
	unread   error  // why the footer that is there cannot be read
	undone   string // what of exit code 0 and no footer does not say that all is done
	where    string // the footer should be
	stop     error  // why it was asked to end; nil: it was not
	stalled  time.Duration
	phase    string // at the stall
	bars     int64  // replayed, as far as was heard
	begun    bool   // it has said that it is at work on bars, warm-up included
	stderr   string // its last lines
	withheld []string
	format   string // of slices
}

// Exit codes of commands that say more than that they failed (sysexits.h, and
// a shell's).
const (
	exitUsage         = 64
	exitConfig        = 78
	exitNotExecutable = 126
	exitNotFound      = 127
)

// signalled reports whether the command was asked to end by somebody else than
// its worker, as far as can be seen: it ended by such a signal, or by the code
// that a shell makes of one, or says that it was stopped.
func (e ending) signalled() bool {
	if e.started != nil || e.footer != nil && e.footer.Status == "ok" {
		return false
	}
	if e.footer != nil && e.footer.Status == "stopped" {
		return true
	}
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		if e.exit.Signal == sig || e.exit.Code == 128+int(sig) {
			return true
		}
	}
	return false
}

// verdict says how an attempt ended: nil is ok; the cause of a stop; an
// *SetUpError; an error that matches ErrExhausted or ErrStalled; any other is
// a failure to be tried again. ErrNotBegun matches beside them.
func (e ending) verdict() error {
	err := e.judged()
	if err == nil || e.stop != nil || e.stalled > 0 || e.exit.Signal != 0 || e.bars > 0 || e.begun {
		return err
	}
	return notBegun{err}
}

// notBegun is an error that matches ErrNotBegun.
type notBegun struct{ error }

func (notBegun) Is(target error) bool { return target == ErrNotBegun }
func (n notBegun) Unwrap() error      { return n.error }

func (e ending) judged() error {
	if e.started != nil {
		code := exitNotFound
		if errors.Is(e.started, process.ErrNotExecutable) {
			code = exitNotExecutable
		}
		return &SetUpError{Code: code, Err: e.started}
	}
	if e.footer != nil {
		switch status := e.footer.Status; {
		case status == "ok":
			return nil
		case status == "stopped" && e.stop != nil:
			return e.stop
		case status == "stopped":
			return fmt.Errorf("the command reported that it was stopped, without a request to stop (%s)", e.exit)
		case status != "" && e.stop == nil:
			return e.claimed(status)
		}
	}
	switch {
	case e.stop != nil:
		return e.stop
	case e.stalled > 0:
		return fmt.Errorf("%w: no new bar for %v in the phase %s (--stall-timeout; 0: no limit)", ErrStalled, e.stalled, e.phase)
	case e.unread != nil && e.exit.Code == 0:
		return fmt.Errorf("the command ended with exit code 0, and %w", e.unread)
	case e.exit.Code == 0 && e.footer != nil:
		return fmt.Errorf("the command's footer at %s has no status (want \"ok\")", e.where)
	case e.exit.Code == 0 && e.undone != "":
		return fmt.Errorf("the command ended with exit code 0 and wrote %s", e.undone)
	case e.exit.Code == 0:
		return nil
	case e.exit.Code == exitUsage, e.exit.Code == exitConfig:
		return fmt.Errorf("%w: the command ended with exit code %d", ErrExhausted, e.exit.Code)
	case e.exit.Code == exitNotExecutable, e.exit.Code == exitNotFound, e.exit.Code > 0 && e.bars == 0 && ImportError(e.stderr):
		return e.setUp(e.exit.Code, fmt.Errorf("it ended with exit code %d before its first bar", e.exit.Code))
	case e.exit.Signal == syscall.SIGKILL:
		return fmt.Errorf("the command was killed (signal 9), not by this worker: out of memory?")
	case e.exit.Signal != 0:
		return fmt.Errorf("the command ended by %s", e.exit)
	}
	if e.unread != nil {
		return fmt.Errorf("the command ended with exit code %d, and %w", e.exit.Code, e.unread)
	}
	if hint := SliceHint(e.format, e.stderr); hint != "" {
		return fmt.Errorf("the command ended with exit code %d (%s)", e.exit.Code, hint)
	}
	return fmt.Errorf("the command ended with exit code %d", e.exit.Code)
}

// claimed is the error of a command whose footer has a status that is neither
// ok nor stopped.
func (e ending) claimed(status string) error {
	if text := e.footer.Footer.Error; text != "" {
		return fmt.Errorf("the command's footer has status %.40q: %s", status, text)
	}
	return fmt.Errorf("the command's footer has status %.40q (%s)", status, e.exit)
}

func (e ending) setUp(code int, err error) error {
	if code != exitNotExecutable && code != exitNotFound {
		code = exitConfig
	}
	hint := SliceHint(e.format, e.stderr)
	if hint == "" {
		hint = Hint(code, e.stderr, e.withheld)
	}
	return &SetUpError{Code: code, Err: err, Hint: hint}
}
