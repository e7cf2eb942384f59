package coordinator

import (
	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// DataOf says what a run's manifest has of a data set.
func DataOf(set bars.Set) run.Data { return describe(set) }

// PolicyOf says what a run's manifest has of a policy.
func PolicyOf(p policy.Policy) run.Policy { return policyOf(p) }
