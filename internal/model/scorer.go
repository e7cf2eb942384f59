package model

import (
	"fmt"

	"gx1replay/internal/policy"
)

// Scorer scores one bar. Score takes the features in the order that the model
// was loaded for and returns the log-odds of a long and of a short entry. It
// keeps nothing and allocates nothing, and many may call it at once.
type Scorer interface {
	Score(x []float64) (long, short float64)
}

// New makes the scorer of a policy's model for the named features, where the
// policy itself holds the model; NewSet also makes those that are files.
// Errors name the key: a kind that is not supported, a weight for a feature
// that is not in the list, a weight that is not finite.
func New(m policy.Model, features []string) (Scorer, error) {
	switch m.Kind {
	case policy.KindLogistic:
		l, err := NewLogistic(m, features)
		if err != nil {
			return nil, err // and not a *Logistic that is nil in a Scorer that is not
		}
		return l, nil
	case policy.KindXGBoost, policy.KindLightGBM:
		return nil, fmt.Errorf("model.kind: %s models are files, and none was loaded (want %s)", m.Kind, policy.KindLogistic)
	}
	return nil, fmt.Errorf("model.kind: %q is unknown (want %s, %s or %s)", m.Kind, policy.KindLogistic, policy.KindXGBoost, policy.KindLightGBM)
}
