package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/process"
)

// Where a run's bus is, is said however it was named.
func TestStatusSaysWhichBus(t *testing.T) {
	look := func(context.Context) ([]runStatus, error) {
		at := time.Now().Add(-time.Minute)
		return []runStatus{
			{Entry: process.Entry{RunID: "by_url", PID: 1, URL: "nats://10.0.0.1:4222", StartedAt: at, OutputDir: "a"}, Alive: true, BusAnswers: true},
			{Entry: process.Entry{RunID: "by_context", PID: 2, Context: "cluster", StartedAt: at, OutputDir: "b"}, Alive: true},
		}, nil
	}
	var out bytes.Buffer
	if alive, err := (Program{}).status(t.Context(), &out, look, "", false); err != nil || alive != 2 {
		t.Fatalf("%d are alive, %v (want 2)", alive, err)
	}
	for _, want := range []string{"nats://10.0.0.1:4222", "context cluster", "under way, its bus does not answer"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, &out)
		}
	}
}
