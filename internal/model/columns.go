package model

import (
	"fmt"
	"slices"
	"strings"
)

// columns maps a model's features to those of a bar: by name, if the model
// has names, else by place, and then their number has to be the same. field
// is where the file has the names. A bar's other features are not read.
func columns(field string, names []string, count int, features []string) ([]int, error) {
	if len(features) > maxFeatures {
		return nil, fmt.Errorf("features: lists %d (want at most %d)", len(features), maxFeatures)
	}
	if len(names) == 0 {
		if count != len(features) {
			return nil, fmt.Errorf("%s: has no names, and %d features (want %d: %s)", field, count, len(features), strings.Join(features, ", "))
		}
		places := make([]int, count)
		for i := range places {
			places[i] = i
		}
		return places, nil
	}
	if count != len(names) {
		return nil, fmt.Errorf("%s: names %d features of %d (want one name per feature)", field, len(names), count)
	}
	places := make([]int, len(names))
	taken := make(map[string]bool, len(names))
	for i, name := range names {
		if places[i] = slices.Index(features, name); places[i] < 0 {
			return nil, fmt.Errorf("%s[%d]: %q is not among the policy's features (want one of %s)", field, i, name, strings.Join(features, ", "))
		}
		if taken[name] {
			return nil, fmt.Errorf("%s[%d]: %q appears twice (want each feature once)", field, i, name)
		}
		taken[name] = true
	}
	return places, nil
}
