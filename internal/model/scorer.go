package model

import "gx1replay/internal/policy"

// readers read the models that are files, by their kind.
var readers = map[string]reader{
	policy.KindXGBoost:  reading(ParseXGBoost),
	policy.KindLightGBM: reading(ParseLightGBM),
}

// reader makes a scorer of a model file; see ParseXGBoost.
type reader func(name string, file []byte, features []string, newer bool) (Scorer, error)

// reading is parse as a reader, which returns no nil M beside an error.
func reading[M Scorer](parse func(string, []byte, []string, bool) (M, error)) reader {
	return func(name string, file []byte, features []string, newer bool) (Scorer, error) {
		m, err := parse(name, file, features, newer)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
}

// Scorer scores one bar. Score takes the features in the order that the model
// was loaded for and returns the log-odds of a long and of a short entry. It
// keeps nothing and allocates nothing, and many may call it at once.
type Scorer interface {
	Score(x []float64) (long, short float64)
}
