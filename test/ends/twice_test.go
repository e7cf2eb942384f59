//go:build linux

package ends

import (
	"os"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/test/check"
	"gx1replay/test/testsize"
)

// A stop that is given ten times belongs to the session that it stops: the
// resume is not stopped by one of them.
func TestAStopGivenTenTimes(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	p := plan(t)
	p.Bars = 800
	v := begin(t, p)
	v.until("the stop command is printed", func() bool { return v.url() != "" })
	nc, err := nats.Connect(v.url(), nats.NoReconnect())
	v.must(err)
	defer nc.Close()
	for range 10 {
		v.must(nc.Publish("gx1.stop."+v.RunID, []byte("enough")))
	}
	v.must(nc.FlushWithContext(v.ctx))
	// As long as the port is open somebody may say it again.
	for !v.Over() && nc.Publish("gx1.stop."+v.RunID, []byte("enough")) == nil && nc.FlushWithContext(v.ctx) == nil {
	}
	v.stopped("subject")
	v.resumes()
	v.ends(0)
	if rep := v.judge(check.Options{Outcome: "complete"}); rep.Sessions != 2 {
		t.Errorf("%d sessions (expected 2)", rep.Sessions)
	}
	if _, err := os.Stat(v.Stub()); err == nil {
		t.Error("there is a stub")
	}
}
