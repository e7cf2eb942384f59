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
	base := func(version, score string) policy.Policy {
		return policy.Policy{
			Model:      &policy.Model{Kind: policy.KindXGBoost},
			ModelFiles: map[string]policy.ModelFile{"m.json": {Content: []byte(`{"version":` + version + `,"learner":{"learner_model_param":{"base_score":"` + score + `"}}}`)}},
		}
	}
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
		"version 1, a base score that is clamped since":      {1, base("[3,2,0]", "[1E-7]"), 0, "base_score [1E-7]"},
		"version 1, a base score of almost 1":                {1, base("[3,4,1]", "0.9999999"), 0, "base_score 0.9999999"},
		"version 1, a base score that is no extreme":         {1, base("[3,4,1]", "[5E-1]"), 2 * day, ""},
		"version 1, a base score of a version that does not": {1, base("[3,1,0]", "[1E-7]"), 2 * day, ""},
		"this version, a base score that is clamped":         {Version, base("[3,2,0]", "[1E-7]"), 0, ""},
		"this version":       {Version, policy.Policy{}, 0, ""},
		"this version, DART": {Version, dart, 0, ""},
		"a later version":    {Version + 1, policy.Policy{}, 0, "has version 3 (this release has versions 1 to 2)"},
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
