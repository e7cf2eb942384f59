package replay

import (
	"strings"
	"testing"
	"time"

	"gx1replay/internal/policy"
)

func TestForVersion(t *testing.T) {
	const day = 24 * time.Hour
	given := policy.Policy{Entry: policy.Entry{MaxGap: time.Hour}}
	dart := policy.Policy{ModelFiles: map[string]policy.ModelFile{"m.json": {Content: []byte(`{"weight_drop":[1]}`)}}}
	for name, c := range map[string]struct {
		version int
		policy  policy.Policy
		gap     time.Duration
		want    string // of the error
	}{
		"of before versions":     {0, policy.Policy{}, 2 * day, ""},
		"version 1":              {1, policy.Policy{}, 2 * day, ""},
		"version 1, a given gap": {1, given, time.Hour, ""},
		"version 1, DART":        {1, dart, 0, "weight_drop"},
		"this version":           {Version, policy.Policy{}, 0, ""},
		"this version, DART":     {Version, dart, 0, ""},
		"a later version":        {Version + 1, policy.Policy{}, 0, "has version 3 (this release has versions 1 to 2)"},
	} {
		got, err := ForVersion(c.version, c.policy, day)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v (want %q)", name, err, c.want)
			}
			continue
		}
		if err != nil || got.Entry.MaxGap != c.gap {
			t.Errorf("%s: max_gap %v, %v (want %v)", name, got.Entry.MaxGap, err, c.gap)
		}
	}
}
