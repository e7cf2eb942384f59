package bus

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/internal/run"
	"gx1replay/test/keybus"
)

func TestParseWake(t *testing.T) {
	for payload, want := range map[string]struct {
		within time.Duration
		stop   bool
	}{
		"0":                      {0, false},
		"7":                      {7 * perWorker, false},
		"65535":                  {mostDelay, false},
		"65536":                  {0, false},
		"-1":                     {0, false},
		"":                       {0, false},
		"stop":                   {0, true},
		"Stop":                   {0, false},
		"stop ":                  {0, false},
		strings.Repeat("9", 1e6): {0, false},
	} {
		if within, stop := parseWake([]byte(payload)); within != want.within || stop != want.stop {
			t.Errorf("%.20q: %v, %v (want %v, %v)", payload, within, stop, want.within, want.stop)
		}
	}
}

func FuzzParseWake(f *testing.F) {
	for _, s := range []string{"", "0", "12", "stop", "99999999999999999999", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		within, stop := parseWake(payload)
		if within < 0 || within > mostDelay || stop != (string(payload) == "stop") {
			t.Errorf("%q: %v, %v", payload, within, stop)
		}
	})
}

// A worker in an account of its own hears what the coordinator publishes.
func TestWakesReachWorkersOfAnotherAccount(t *testing.T) {
	k, _, _ := accountBus(t, keybus.Config{})
	dial := func(r access.Role) *Bus {
		b, err := Connect(t.Context(), Config{Access: Access{URL: k.URL(0)}, Name: string(r), Options: []nats.Option{k.Key(r)}})
		must(t, err)
		t.Cleanup(b.Close)
		return b
	}
	lead, worker := dial(access.Coordinator), dial(access.Worker)
	type heard struct {
		id     run.ID
		within time.Duration
		stop   bool
	}
	got := make(chan heard, 10)
	may, cancel, err := worker.ListenWakes(t.Context(),
		func(id run.ID, within time.Duration) { got <- heard{id, within, false} },
		func(id run.ID) { got <- heard{id, 0, true} })
	must(t, err)
	defer cancel()
	must(t, worker.nc.FlushTimeout(patience))
	if !may {
		t.Fatal("a worker may not listen to wakes")
	}
	must(t, lead.Wake("r1", 3))
	must(t, lead.HintStop("r2"))
	for _, want := range []heard{{"r1", 3 * perWorker, false}, {"r2", 0, true}} {
		select {
		case h := <-got:
			if h != want {
				t.Errorf("heard %+v (want %+v)", h, want)
			}
		case <-time.After(patience):
			t.Fatalf("%+v was not heard", want)
		}
	}
}
