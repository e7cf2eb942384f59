package trade

import (
	"strings"
	"testing"
)

func TestManyExpired(t *testing.T) {
	for _, c := range []struct {
		expired, signals int64
		want             string
	}{
		{0, 0, ""}, {1, 0, ""}, {0, 100, ""}, {5, 100, ""},
		{6, 100, "6 of 100 signals (6.0 %) expired at gaps"},
		{442, 2128, "442 of 2128 signals (20.8 %) expired at gaps"},
		{1, 1, "1 of 1 signals (100.0 %) expired at gaps"},
	} {
		if got := ManyExpired(c.expired, c.signals); got != c.want && (c.want == "" || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%d of %d: %q (want %q)", c.expired, c.signals, got, c.want)
		}
	}
}
