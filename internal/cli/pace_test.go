package cli

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	type look struct {
		sec   float64
		bars  int64
		taken bool
	}
	for _, c := range []struct {
		name   string
		looks  []look
		moving bool
		want   float64 // bars/s
	}{
		{"nothing is known", nil, false, 0},
		{"no worker yet", []look{{0, 0, false}, {9, 0, false}}, false, 0},
		{"nothing moves", []look{{0, 0, false}, {1, 0, true}, {9, 0, true}}, false, 0},
		{"the first report", []look{{0, 0, true}, {1.2, 1, true}}, true, 0},
		{"moving for a moment", []look{{0, 0, true}, {10, 5, true}, {11.9, 500, true}}, true, 0},
		{"the start is not counted", []look{{0, 0, true}, {10, 5, true}, {12, 25, true}}, true, 10},
		{"the last seconds count", []look{{0, 0, true}, {1, 10, true}, {2, 1000, true}, {3, 1000, true}, {8, 1500, true}}, true, 100},
		{"a pause after the start", []look{{0, 0, true}, {1, 10, true}, {4, 10, true}, {9, 10, true}}, true, 0},
		{"an earlier session's bars do not move", []look{{0, 0, false}, {0.2, 4000, false}, {3, 4000, false}}, false, 0},
		{"and do not count", []look{{0, 0, false}, {0.2, 4000, false}, {3, 4000, true}, {4, 4010, true}, {6, 4030, true}}, true, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p pace
			begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			for _, l := range c.looks {
				p.look(begun.Add(time.Duration(l.sec*float64(time.Second))), l.bars, l.taken)
			}
			if got := p.barsPerSec(); p.moving != c.moving || got != c.want {
				t.Errorf("moving %v at %v bars/s (want %v, %v)", p.moving, got, c.moving, c.want)
			}
		})
	}
}
