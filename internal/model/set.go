package model

import (
	"fmt"
	"math"

	"gx1replay/internal/policy"
)

// Set is a policy's models, one for all market sessions or one a market
// session. It scores with the model of the bar's market session; a market
// session without a model has no signal. It keeps nothing and allocates
// nothing while it scores.
type Set struct {
	bySession []Scorer // nil: none
}

// NewSet makes the models of m for bars with the named features. Market
// sessions are the policy's, and later named by their place in that list.
// read gives the content of a model file by the name that the policy has for
// it; each is read once. Errors name the key of the policy, and the file and
// the field in it.
func NewSet(m policy.Model, sessions []policy.MarketSession, features []string, read func(name string) ([]byte, error)) (*Set, error) {
	s := &Set{bySession: make([]Scorer, len(sessions))}
	if m.Kind == policy.KindLogistic {
		one := NewLogistic(m, features)
		for i := range s.bySession {
			s.bySession[i] = one
		}
		return s, nil
	}
	parse := readers[m.Kind]
	if parse == nil {
		return nil, fmt.Errorf("model.kind: %q is unknown (want %s)", m.Kind, policy.WantKinds())
	}
	loaded := map[string]Scorer{}
	for i, session := range sessions {
		key, path := "model.paths."+session.Name, m.Paths[session.Name]
		if path == "" {
			key, path = "model.path", m.Path
		}
		if path == "" {
			continue
		}
		one, ok := loaded[path]
		if !ok {
			file, err := read(path)
			if err != nil {
				return nil, fmt.Errorf("%s: reading the model: %w", key, err)
			}
			if one, err = parse(path, file, features, m.AcceptNewer); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			loaded[path] = one
		}
		s.bySession[i] = one
	}
	if len(loaded) == 0 {
		return nil, fmt.Errorf("model.path: is missing (want a model file in path or paths)")
	}
	return s, nil
}

// Has tells whether the market session has a model. The model of one that has
// none is not called, and no call is counted.
func (s *Set) Has(session int) bool { return s.bySession[session] != nil }

// Score is the log-odds of a long and of a short entry of a bar of that market
// session: NaN, which no threshold is below, where it has no model.
func (s *Set) Score(session int, x []float64) (long, short float64) {
	if one := s.bySession[session]; one != nil {
		return one.Score(x)
	}
	return math.NaN(), math.NaN()
}

// ScoreRows sets long[i] and short[i] to the Score of the i-th row of features,
// for all i of long; all are of bars of that market session.
func (s *Set) ScoreRows(session int, rows, long, short []float64) {
	if l, ok := s.bySession[session].(*Logistic); ok {
		l.scoreRows(rows, long, short)
		return
	}
	if len(long) == 0 {
		return
	}
	n := len(rows) / len(long)
	for i := range long {
		long[i], short[i] = s.Score(session, rows[i*n:(i+1)*n])
	}
}
