package coordinator

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/loglimit"
	"gx1replay/internal/run"
)

// A stop that comes when the port is open stops the run, though the run's first
// session has not begun; one that was there before was for another run of that
// name.
func TestAStopBeforeTheFirstSessionCounts(t *testing.T) {
	emptyPools() // of what bubbles have left
	defer emptyPools()
	s := &Session{
		cfg:    Config{RunID: "r1", Listen: "127.0.0.1:0", Observer: Unobserved{}, Logger: slog.New(slog.DiscardHandler)},
		target: layout.Run{Dir: t.TempDir(), RunID: "r1"}, lines: loglimit.New(slog.New(slog.DiscardHandler)), ledger: ledger.New("r1"),
	}
	if err := os.MkdirAll(s.target.StateDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	for life := range 2 {
		stale := s.stopBefore
		tr, err := s.openBus(t.Context(), s.newPasser())
		if err != nil {
			t.Fatal(err)
		}
		if life > 0 && s.stopBefore <= stale {
			t.Errorf("the last stop before the port opened is %d (want the first life's)", s.stopBefore)
		}
		nc, err := nats.Connect(tr.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Request("gx1.stop.r1", nil, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		nc.Close()
		m := run.Manifest{RunID: "r1", Session: 1}
		if err := s.stampStop(t.Context(), tr.bus, &run.Manifest{}, &m); err != nil {
			t.Fatal(err)
		}
		stop, err := tr.bus.LastStop(t.Context(), "r1")
		if err != nil || stop.Seq <= m.StopSeq {
			t.Errorf("the stop has sequence %d, %v (want above stop_seq %d)", stop.Seq, err, m.StopSeq)
		}
		tr.close()
	}
}
