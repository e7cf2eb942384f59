package bus

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// writerFunc is an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// A worker that finds a run's object not there asks again: the copy of the
// store that answers may lag. Others are told at once.
func TestAnObjectThatIsNotThereYet(t *testing.T) {
	r := newRig(t, "")
	coordinator := r.bus()
	begun := time.Now()
	if _, err := coordinator.GetObject(t.Context(), "late", 1<<10); !errors.Is(err, ErrNoObject) || time.Since(begun) > lagPatience/2 {
		t.Errorf("the coordinator was told %v after %v (want ErrNoObject, at once)", err, time.Since(begun))
	}
	missed := make(chan struct{}, 100)
	log := slog.New(slog.NewTextHandler(writerFunc(func(line []byte) (int, error) {
		if bytes.Contains(line, []byte("not available yet")) {
			missed <- struct{}{}
		}
		return io.Discard.Write(line)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	worker := r.busFor("w1", log)
	got := make(chan error, 1)
	go func() {
		data, err := worker.GetObject(t.Context(), "late", 1<<10)
		if err == nil && string(data) != "here" {
			err = errors.New("its content is " + string(data))
		}
		got <- err
	}()
	for range 2 {
		select {
		case <-missed:
		case err := <-got:
			t.Fatalf("it did not ask again: %v", err)
		case <-time.After(patience):
			t.Fatal("it does not ask")
		}
	}
	must(t, coordinator.PutObject(t.Context(), "late", []byte("here")))
	select {
	case err := <-got:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("it has not found it")
	}
}

// What is never there is an error in time, with its name.
func TestAnObjectThatIsNeverThere(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		worker := r.busFor("w1", nil)
		begun := time.Now()
		_, err := worker.GetObject(t.Context(), "never", 1<<10)
		if !errors.Is(err, ErrNoObject) || !strings.Contains(err.Error(), "never") {
			t.Errorf("%v (want ErrNoObject and the name)", err)
		}
		if took := time.Since(begun); took < lagPatience || took > lagPatience+time.Second {
			t.Errorf("it took %v (want %v)", took, lagPatience)
		}
	})
}
