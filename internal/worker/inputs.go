package worker

import (
	"context"
	"fmt"

	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// Objects is the object store as engines need it.
type Objects interface {
	dataset.Store
}

// fetchPolicy reads the policy of m.
func fetchPolicy(ctx context.Context, from Objects, m run.Manifest, cache *dataset.Cache) ([]byte, error) {
	content, err := cache.Get(ctx, from, bus.PolicyObject(m), m.Policy.Content, policy.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("fetching the policy: %w", err)
	}
	return content, nil
}

// isPolicyOf reports whether p, which m's object holds, means what m says: the
// object is found by the digest of its bytes, and m may name another.
func isPolicyOf(m run.Manifest, p policy.Policy) error {
	if p.SHA256 != m.Policy.SHA256 {
		return fmt.Errorf("the policy of object %s has the digest %.12s (the manifest has %.12s)", bus.PolicyObject(m), p.SHA256, m.Policy.SHA256)
	}
	return nil
}
