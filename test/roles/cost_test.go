package roles

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/process"
	"gx1replay/test/keybus"
)

// rounds is how often each layout is measured in one iteration, in alternation.
// The figures are medians of all rounds.
const rounds = 5

// costSide is one layout under measurement, with a worker and an operator.
type costSide struct {
	b                *testing.B
	lead             jetstream.JetStream
	worker           jetstream.JetStream
	nc, operator     *nats.Conn
	consumer         jetstream.Consumer
	round, published int
}

func newCostSide(b *testing.B, cfg keybus.Config) *costSide {
	b.Helper()
	k := keybus.Start(b, cfg)
	lead, err := bus.Connect(b.Context(), bus.Config{Access: bus.Access{URL: k.URL(0)}, Options: []nats.Option{k.Root()}})
	s := &costSide{b: b, nc: k.Connect(0, access.Worker), operator: k.Connect(0, access.Operator)}
	s.must(err)
	b.Cleanup(lead.Close)
	s.must(lead.MakeStreams(b.Context(), 1))
	s.lead, err = jetstream.New(k.ConnectRoot(0))
	s.must(err)
	s.worker, err = jetstream.New(s.nc)
	s.must(err)
	_, err = s.lead.CreateConsumer(b.Context(), "GX1_TASKS", jetstream.ConsumerConfig{
		Durable: "r_s1", FilterSubject: "gx1.task.r.*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour, MaxDeliver: -1, MaxAckPending: 100_000,
	})
	s.must(err)
	s.consumer, err = s.worker.Consumer(b.Context(), "GX1_TASKS", "r_s1")
	s.must(err)
	return s
}

func (s *costSide) must(err error) {
	s.b.Helper()
	if err != nil {
		s.b.Fatal(err)
	}
}

// tasks publishes n tasks, which is not measured.
func (s *costSide) tasks(n int) {
	s.b.Helper()
	for range n {
		_, err := s.lead.PublishAsync(fmt.Sprintf("gx1.task.r.%d", s.published), make([]byte, 300))
		s.must(err)
		s.published++
	}
	select {
	case <-s.lead.PublishAsyncComplete():
	case <-time.After(patience):
		s.b.Fatal("the tasks are not stored")
	}
}

// next takes a task, as a slot does.
func (s *costSide) next() (jetstream.Msg, error) {
	for {
		batch, err := s.consumer.FetchNoWait(1)
		if err != nil {
			return nil, err
		}
		for m := range batch.Messages() {
			return m, nil
		}
		if err := batch.Error(); err != nil {
			return nil, err
		}
	}
}

// take takes a task and acknowledges it.
func (s *costSide) take() error {
	m, err := s.next()
	if err != nil {
		return err
	}
	return m.DoubleAck(s.b.Context())
}

// costs are the operations of a run that cross the accounts, each done n times.
// What they return is the time of one.
var costs = []struct {
	name string
	n    int
	do   func(s *costSide, n int) time.Duration
}{
	{"claim or renewal (compare-and-set)", 2000, func(s *costSide, n int) time.Duration {
		subject := fmt.Sprintf("gx1.progress.r.%d", s.round)
		var last uint64
		return each(n, func() {
			ack, err := s.worker.Publish(s.b.Context(), subject, make([]byte, 300), jetstream.WithExpectLastSequencePerSubject(last))
			s.must(err)
			last = ack.Sequence
		})
	}},
	{"take a task and acknowledge it", 1000, func(s *costSide, n int) time.Duration {
		s.tasks(n)
		return each(n, func() { s.must(s.take()) })
	}},
	{"the same, 16 slots at a time", 8000, func(s *costSide, n int) time.Duration {
		s.tasks(n)
		errs := make(chan error, n)
		begun := time.Now()
		var slots sync.WaitGroup
		for range 16 {
			slots.Go(func() {
				for range n / 16 {
					errs <- s.take()
				}
			})
		}
		slots.Wait()
		took := time.Since(begun)
		close(errs)
		for err := range errs {
			s.must(err)
		}
		return took / time.Duration(n)
	}},
	{"in-progress", 3000, func(s *costSide, n int) time.Duration {
		s.tasks(1)
		m, err := s.next()
		s.must(err)
		took := each(n, func() {
			_, err := s.nc.Request(m.Reply(), []byte("+WPI"), patience)
			s.must(err)
		})
		s.must(m.DoubleAck(s.b.Context()))
		return took
	}},
	{"read the last record of a chunk", 3000, func(s *costSide, n int) time.Duration {
		_, err := s.lead.Publish(s.b.Context(), "gx1.progress.read.0", make([]byte, 300))
		s.must(err)
		return each(n, func() {
			_, err := s.nc.Request("$JS.API.DIRECT.GET.GX1_PROGRESS.gx1.progress.read.0", nil, patience)
			s.must(err)
		})
	}},
	{"stop of an operator", 1000, func(s *costSide, n int) time.Duration {
		return each(n, func() {
			_, err := s.operator.Request("gx1.stop.nobody", nil, patience)
			s.must(err)
		})
	}},
}

func cpuSeconds() float64 {
	user, sys, _ := process.SelfCPU()
	return user + sys
}

// each does f n times and returns the median of their times.
func each(n int, f func()) time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		begun := time.Now()
		f()
		times[i] = time.Since(begun)
	}
	return median(times)
}

func median[T ~int64 | ~float64](list []T) T {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// BenchmarkAccounts measures one account and an account for each role, in
// alternation:
//
//	go test -run '^$' -bench Accounts -benchtime 5x ./test/roles
//
// ratio is the median of the rounds' ratios of time, and cpu-ratio that of
// processor time, of server and clients together and with what is not measured.
func BenchmarkAccounts(b *testing.B) {
	for _, c := range costs {
		b.Run(c.name, func(b *testing.B) {
			one, apart := newCostSide(b, keybus.Config{Users: keybus.Flat}), newCostSide(b, keybus.Config{})
			var x, y []time.Duration
			var ratios, cpuRatios []float64
			for b.Loop() {
				for range rounds {
					sides, times, cpu := []*costSide{one, apart}, make([]time.Duration, 2), make([]float64, 2)
					for k := range sides {
						k = (k + len(ratios)) % 2 // each goes first in turn
						sides[k].round = len(ratios)
						begun := cpuSeconds()
						times[k] = c.do(sides[k], c.n)
						cpu[k] = cpuSeconds() - begun
					}
					x, y = append(x, times[0]), append(y, times[1])
					ratios = append(ratios, float64(times[1])/float64(times[0]))
					cpuRatios = append(cpuRatios, cpu[1]/cpu[0])
				}
			}
			slices.Sort(ratios)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(median(x).Nanoseconds())/1000, "µs/one")
			b.ReportMetric(float64(median(y).Nanoseconds())/1000, "µs/apart")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(median(cpuRatios), "cpu-ratio")
			b.ReportMetric(ratios[len(ratios)/4], "ratio-p25")
			b.ReportMetric(ratios[len(ratios)*3/4], "ratio-p75")
		})
	}
}
