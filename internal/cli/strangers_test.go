package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/process"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// patience bounds every wait of these tests; nothing takes that long.
const patience = 30 * time.Second

// live is a run under way in this process, whose one worker runs a command
// that waits for a stop.
type live struct {
	t     *testing.T
	id    run.ID
	dir   string
	entry process.Entry
	ended chan said
	// command waits for a stop; waits returns when one more does.
	command []string
	waits   func()
}

// aLiveRun starts a run and returns when its command waits. The test has its
// ownPlaces.
func aLiveRun(t *testing.T, id run.ID, args ...string) *live {
	t.Helper()
	l := &live{t: t, id: id, dir: t.TempDir(), ended: make(chan said, 1)}
	list := append([]string{"run", "--policy", replayPolicy(t, 30), "--data", "synthetic:400,seed=4", "--run-id", string(id), "--output-dir", l.dir,
		"--workers", "1", "--chunks", "2", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet", "--engine", "exec", "--slice-format", "csv"}, args...)
	l.command, l.waits = commandThatWaits(t)
	list = append(list, l.command...)
	go func() { l.ended <- coordinates(t, list...) }()
	l.waits()
	l.look()
	return l
}

// look reads the run's entry in the register.
func (l *live) look() {
	l.t.Helper()
	reg, err := process.OpenRegistry("")
	if err == nil {
		l.entry, err = reg.Get(l.id)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// going fails the test if the run has ended.
func (l *live) going() {
	l.t.Helper()
	select {
	case got := <-l.ended:
		l.t.Fatalf("run %s has ended with code %d: %s%s", l.id, got.code, got.stdout, got.stderr)
	default:
	}
}

// end waits for the run's end and returns its stop.
func (l *live) end() (stop run.Stop) {
	l.t.Helper()
	select {
	case got := <-l.ended:
		if got.code != 0 {
			l.t.Fatalf("run %s ended with code %d: %s%s", l.id, got.code, got.stdout, got.stderr)
		}
	case <-time.After(patience):
		l.t.Fatalf("run %s does not end", l.id)
	}
	text, err := os.ReadFile(filepath.Join(l.dir, "perf_"+string(l.id)+".json"))
	if err != nil {
		l.t.Fatal(err)
	}
	var f struct {
		Stop struct {
			Source run.Source `json:"source"`
			Reason string     `json:"reason"`
			Seq    uint64     `json:"seq"`
		} `json:"stop"`
	}
	if err := json.Unmarshal(text, &f); err != nil {
		l.t.Fatal(err)
	}
	return run.Stop{Source: f.Stop.Source, Reason: f.Stop.Reason, Seq: f.Stop.Seq}
}

// stranger connects without credentials.
func (l *live) stranger() *nats.Conn { return l.dial() }

// owner connects with the run's key.
func (l *live) owner() *nats.Conn {
	l.t.Helper()
	opt, err := nats.NkeyOptionFromSeed(l.entry.KeyFile)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.dial(opt, nats.CustomInboxPrefix("_INBOX_TEST"))
}

func (l *live) dial(opts ...nats.Option) *nats.Conn {
	l.t.Helper()
	nc, err := nats.Connect(l.entry.URL, append(opts, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(nc.Close)
	return nc
}

// commandThatWaits is the line of a command that connects to the test and then
// waits for a stop. The function waits returns when one more has connected.
func commandThatWaits(t *testing.T) (command []string, waits func()) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return replayCommand(t, "waits@"+l.Addr().String()), func() {
		t.Helper()
		err := l.SetDeadline(time.Now().Add(patience))
		if err == nil {
			var c net.Conn
			if c, err = l.Accept(); err == nil {
				err = c.Close()
			}
		}
		if err != nil {
			t.Fatalf("waiting until a command waits: %v", err)
		}
	}
}

// spy hears everything in the account of the run's streams.
type spy struct {
	mu   sync.Mutex
	list []string
}

func (l *live) spy() *spy {
	l.t.Helper()
	s := &spy{}
	nc := l.owner()
	_, err := nc.Subscribe(">", func(m *nats.Msg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.list = append(s.list, m.Subject+" "+string(m.Data))
	})
	if err := errors.Join(err, nc.FlushTimeout(patience)); err != nil {
		l.t.Fatal(err)
	}
	return s
}

func (s *spy) heard(f func(subject, data string) bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, text := range s.list {
		if subject, data, _ := strings.Cut(text, " "); f(subject, data) {
			list = append(list, text)
		}
	}
	return list
}

// A stranger may name any reply subject. The server's answers to it must not
// reach a stream, whatever the subject: they are stored under the rights of the
// server, not of the stranger.
func TestAStrangersReplySubjectsChangeNothing(t *testing.T) {
	ownPlaces(t)
	l := aLiveRun(t, "r1")
	spy := l.spy()
	nc := l.stranger()
	replies := []string{
		"gx1.progress.%.0", "gx1.progress.other.0", "$KV.GX1_RUNS.%", "$KV.GX1_RUNS.other", "gx1.artifact.%.0.1.0", "gx1.footer.%.0", "gx1.footer.%.1",
		"gx1.task.%.0", "gx1.task.other.0", "gx1.note.%.U", "gx1.wake.%", "gx1.stop.%", "$O.GX1_DATA.C.x", "$O.GX1_DATA.M.x",
		"$JS.API.STREAM.DELETE.GX1_STOP", "$JS.API.STREAM.PURGE.GX1_PROGRESS", "$JS.API.CONSUMER.DELETE.GX1_TASKS.%_s1",
		"$JS.API.STREAM.MSG.DELETE.GX1_FOOTERS", "$JS.API.STREAM.DELETE.KV_GX1_RUNS", "_INBOX_GX1.x", "_INBOX_GX1_U.x.y", "$SYS.REQ.SERVER.PING",
	}
	for _, to := range []string{"nobody", "other", "not~a~run"} {
		for _, reply := range replies {
			if err := nc.PublishRequest("gx1.stop."+to, strings.ReplaceAll(reply, "%", "r1"), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	// An answer to what was sent last tells that all before it is done.
	if _, err := nc.Request("gx1.stop.nobody", nil, patience); err != nil {
		t.Fatalf("the answer to a stop: %v", err)
	}
	if err := l.owner().FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	var where []string
	for _, text := range spy.heard(func(subject, data string) bool {
		answer := strings.Contains(data, `"stream":`) || strings.Contains(data, `"error":`)
		return answer && !strings.HasPrefix(subject, "_INBOX") && !strings.HasPrefix(subject, "_R_") && !strings.HasPrefix(subject, "$JS.EVENT")
	}) {
		subject, _, _ := strings.Cut(text, " ")
		if !slices.Contains(where, subject) {
			where = append(where, subject)
		}
	}
	if len(where) > 0 {
		t.Errorf("answers to a stranger came to %d subjects of the main account (want none): %q", len(where), where)
	}
	l.going()
	answer, err := nc.Request("gx1.stop.r1", []byte("enough"), patience)
	if err != nil || !strings.Contains(string(answer.Data), `"stream":"GX1_STOP"`) {
		t.Errorf("the answer to the stop: %v, %v", answer, err)
	}
	if s := l.end(); s.Source != run.SourceSubject || s.Reason != "enough" || s.Seq == 0 {
		t.Errorf("the stop is %+v (want subject, enough)", s)
	}
}

// What a stranger writes into the headers of a stop is not believed.
func TestAStrangersStopIsASubjectsStop(t *testing.T) {
	ownPlaces(t)
	l := aLiveRun(t, "r1")
	m := nats.NewMsg("gx1.stop.r1")
	m.Data = []byte("mine")
	for k, v := range map[string]string{"Gx1-Stop-Source": "sigterm", "Gx1-Stop-Session": "1", "Nats-Msg-Id": "stop.r1.1.sigterm", "Gx1-Schema": "1"} {
		m.Header.Set(k, v)
	}
	if err := l.stranger().PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	if s := l.end(); s.Source != run.SourceSubject || s.Reason != "mine" {
		t.Errorf("the stop is %+v (want subject, mine)", s)
	}
}

// The message id of a coordinator's own stop cannot be taken beforehand.
func TestAStrangerCannotTakeTheIDOfASignal(t *testing.T) {
	testsize.All(t)
	ownPlaces(t)
	l := aLiveRun(t, "r1", "--timeout", "2s")
	m := nats.NewMsg("gx1.stop.nobody")
	m.Header.Set("Nats-Msg-Id", "stop.r1.1.timeout")
	nc := l.stranger()
	spy := l.spy()
	if err := errors.Join(nc.PublishMsg(m), nc.FlushTimeout(patience)); err != nil {
		t.Fatal(err)
	}
	if s := l.end(); s.Source != run.SourceTimeout {
		t.Errorf("the stop is %+v (want the time-box's)", s)
	}
	stored := spy.heard(func(subject, data string) bool {
		return strings.HasPrefix(subject, "_INBOX_GX1") && strings.Contains(data, `"stream":"GX1_STOP"`) && !strings.Contains(data, `"duplicate"`)
	})
	if len(stored) == 0 {
		t.Error("the coordinator's own stop was not stored")
	}
}

// A stop for another run is passed on if strangers may stop that run, too.
func TestAStopIsPassedOnToARunThatIsOpen(t *testing.T) {
	testsize.All(t)
	ownPlaces(t)
	a, open, closed := aLiveRun(t, "a"), aLiveRun(t, "open"), aLiveRun(t, "closed", "--stop-auth")
	nc := a.stranger()
	for _, id := range []string{"closed", "open"} {
		m := nats.NewMsg("gx1.stop." + id)
		m.Data = []byte("from " + id)
		m.Header.Set("Gx1-Stop-Source", "sigterm")
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if s := open.end(); s.Source != run.SourceSubject || s.Reason != "from open" {
		t.Errorf("the stop of the open run is %+v (want subject)", s)
	}
	// The stop of the run that demands its key was sent before, and the one after
	// it is answered.
	if _, err := nc.Request("gx1.stop.nobody", nil, patience); err != nil {
		t.Fatal(err)
	}
	closed.going()
	for _, l := range []*live{closed, a} {
		if err := l.owner().Publish("gx1.stop."+string(l.id), []byte("own key")); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []*live{closed, a} {
		if s := l.end(); s.Reason != "own key" {
			t.Errorf("run %s was stopped by %+v (want its own key's)", l.id, s)
		}
	}
}

// A run that other hosts reach takes a worker's key from a worker, and an
// operator's for a stop; neither does more.
func TestARunThatOtherHostsReach(t *testing.T) {
	ownPlaces(t)
	l := aLiveRun(t, "r1", "--listen", "0.0.0.0:0")
	state := filepath.Join(l.dir, ".gx1", "r1")
	if nc, err := nats.Connect(l.entry.URL); err == nil {
		nc.Close()
		t.Error("a client without credentials was let in")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	worker, work := make(chan said, 1), t.TempDir()
	go func() {
		args := append([]string{"--nats", l.entry.URL, "--nkey", filepath.Join(state, "worker.nk"), "--run", "r1", "--work-dir", work, "--engine", "exec"}, l.command...)
		code, stdout, stderr := program(t, ctx, true, args...)
		worker <- said{code, stdout, stderr}
	}()
	got := coordinates(t, "status", "r1", "--nats", l.entry.URL, "--nkey", filepath.Join(state, "observer.nk"))
	if got.code != 0 || !strings.Contains(got.stdout, "r1") {
		t.Errorf("an observer's status: %d, %s%s", got.code, got.stdout, got.stderr)
	}
	t.Cleanup(func() {
		if t.Failed() {
			cancel()
			t.Logf("the worker: %+v", <-worker)
		}
	})
	l.waits()
	for _, role := range []string{"worker", "observer"} {
		got := coordinates(t, "stop", "r1", "--nats", l.entry.URL, "--nkey", filepath.Join(state, role+".nk"))
		if got.code != 1 || !strings.Contains(got.stderr, "lacks the role operator") {
			t.Errorf("a %s's stop: %d, %s%s (want that it may not)", role, got.code, got.stdout, got.stderr)
		}
	}
	l.going()
	if got := coordinates(t, "stop", "r1", "--reason", "from afar", "--nats", l.entry.URL, "--nkey", filepath.Join(state, "operator.nk")); got.code != 0 {
		t.Errorf("an operator's stop: %d, %s%s", got.code, got.stdout, got.stderr)
	}
	if s := l.end(); s.Source != run.SourceSubject || s.Reason != "from afar" {
		t.Errorf("the stop is %+v", s)
	}
	cancel()
	select {
	case <-worker:
	case <-time.After(patience):
		t.Error("the worker does not end")
	}
}

// What a stranger sends as often as it likes is counted in the log, and not
// written there.
func TestAStrangersFloodDoesNotFillTheLog(t *testing.T) {
	ownPlaces(t)
	l := aLiveRun(t, "r1")
	nc := l.stranger()
	for _, subject := range []string{"gx1.stop.not~a~run", "gx1.stop.nobody", "gx1.stop.r", "gx1.task.r1.0", "$JS.API.STREAM.DELETE.GX1_STOP"} {
		for range 3000 {
			if err := nc.PublishRequest(subject, "_INBOX.x", []byte("flood")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	l.going()
	if _, err := l.stranger().Request("gx1.stop.r1", []byte("enough"), patience); err != nil {
		t.Error(err)
	}
	if s := l.end(); s.Reason != "enough" {
		t.Errorf("the stop is %+v", s)
	}
	text, err := os.ReadFile(filepath.Join(l.dir, "r1", "run.log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > 200 {
		t.Errorf("the log has %d lines (want at most 200)", n)
	}
	if !strings.Contains(string(text), "suppressed=") {
		t.Error("the log does not say how many lines are missing")
	}
}
