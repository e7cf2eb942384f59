package worker

import (
	"context"
	"fmt"

	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/run"
)

// Objects is the object store as engines need it.
type Objects interface {
	dataset.Store
}

// maxPolicyBytes bounds a policy from the bus.
const maxPolicyBytes = 4 << 20

// fetchPolicy reads the policy of m.
func fetchPolicy(ctx context.Context, from Objects, m run.Manifest, cache *dataset.Cache) ([]byte, error) {
	content, err := cache.Get(ctx, from, bus.PolicyObject(m), m.Policy.Content, maxPolicyBytes)
	if err != nil {
		return nil, fmt.Errorf("fetching the policy: %w", err)
	}
	return content, nil
}
