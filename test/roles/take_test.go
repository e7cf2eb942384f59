package roles

import (
	"strings"
	"testing"

	"gx1replay/test/keybus"
)

// BenchmarkTake takes tasks and acknowledges them, one at a time: with all roles
// in one account, with an account for each role, and with such accounts whose
// requests for tasks may have one answer only. Each layout is measured alone, so
// that a profile of it shows where its time goes:
//
//	go test -run '^$' -bench Take/apart -benchtime 100000x -cpuprofile cpu.prof ./test/roles
//	go tool pprof -peek 'processServiceImport$' roles.test cpu.prof
//
// Publishing the tasks is not measured. The profile has it, too; it crosses no
// account.
func BenchmarkTake(b *testing.B) {
	for _, layout := range []struct {
		name string
		cfg  keybus.Config
	}{
		{"one", keybus.Config{Users: keybus.Flat}},
		{"apart", keybus.Config{}},
		{"single-answers", keybus.Config{Change: singleAnswers}},
	} {
		b.Run(layout.name, func(b *testing.B) {
			const ahead = 1000 // tasks in the stream
			s := newCostSide(b, layout.cfg)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%ahead == 0 {
					b.StopTimer()
					s.tasks(min(ahead, b.N-i))
					b.StartTimer()
				}
				s.must(s.take())
			}
		})
	}
}

// singleAnswers is users.conf in which requests for tasks have one answer.
func singleAnswers(conf string) string {
	lines := strings.SplitAfter(conf, "\n")
	for i, line := range lines {
		if strings.Contains(line, "CONSUMER.MSG.NEXT.") {
			lines[i] = strings.Replace(line, "response_type: stream, ", "", 1)
		}
	}
	return strings.Join(lines, "")
}
