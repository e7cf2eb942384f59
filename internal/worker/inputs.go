package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

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

// fetch reads an object of at most limit bytes whose content has the digest
// sha (hex).
func fetch(ctx context.Context, from Objects, name, sha string, limit int64) ([]byte, error) {
	content, err := from.GetObject(ctx, name, limit)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != sha {
		return nil, fmt.Errorf("object %s has content with SHA-256 %x (want %s)", name, sum, sha)
	}
	return content, nil
}

// fetchPolicy reads the policy of m.
func fetchPolicy(ctx context.Context, from Objects, m run.Manifest) ([]byte, error) {
	content, err := fetch(ctx, from, bus.PolicyObject(m), m.Policy.Content, maxPolicyBytes)
	if err != nil {
		return nil, fmt.Errorf("fetching the policy: %w", err)
	}
	return content, nil
}

// openData opens the data set of m; fetched slices are kept below cache.
func openData(ctx context.Context, from Objects, m run.Manifest, cache string) (*dataset.Set, error) {
	return dataset.Open(ctx, from, m.Data, slicesDir(cache))
}

func slicesDir(cache string) string { return filepath.Join(cache, "slices") }
