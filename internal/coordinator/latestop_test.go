package coordinator

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/run"
)

// A stop that comes after the last look at the stream, and before the port of
// the embedded bus is closed, was for the session that has written its end. One
// whose session died without an export is obeyed.
func TestAStopBeforeThePortClosesIsOfTheSessionThatEnded(t *testing.T) {
	ended := []run.SessionTimes{{Session: 1, EndedAt: time.Now()}}
	for _, c := range []struct {
		name   string
		stored run.Manifest
		nats   bool
		want   uint64
	}{
		{"ended", run.Manifest{Sessions: ended, ExportSHA256: strings.Repeat("a", 64)}, false, 9},
		{"ended without an export", run.Manifest{Sessions: ended}, false, 3},
		{"died", run.Manifest{Sessions: []run.SessionTimes{{Session: 1}}, ExportSHA256: strings.Repeat("a", 64)}, false, 3},
		{"on a bus that strangers may reach meanwhile", run.Manifest{Sessions: ended, ExportSHA256: strings.Repeat("a", 64)}, true, 3},
	} {
		s := &Session{cfg: Config{RunID: "r1", Observer: Unobserved{}, Logger: slog.New(slog.DiscardHandler)}, target: layout.Run{RunID: "r1"}, stopBefore: 9, ledger: ledger.New("r1")}
		if c.nats {
			s.cfg.NATS = &External{Access: bus.Access{}}
		}
		m := run.Manifest{RunID: "r1", Session: 2, StopSeq: 3}
		if err := s.stampStop(t.Context(), nil, &c.stored, &m); err != nil || m.StopSeq != c.want {
			t.Errorf("%s: stop_seq %d, error %v (want %d)", c.name, m.StopSeq, err, c.want)
		}
	}
}
