// Package testsize decides how much the tests do: what everybody's `go test` has
// time for, or all of it. The environment variable GX1R_TEST decides: .ci/run
// sets it to "all".
package testsize

import (
	"fmt"
	"os"
	"testing"
)

const variable = "GX1R_TEST"

// All skips a test that takes too long for everybody's `go test`, unless all
// tests run.
func All(t testing.TB) {
	t.Helper()
	if !Of(t, false, true) {
		t.Skipf("only %s=all runs this test, which takes long", variable)
	}
}

// Of returns whole if all tests run, each at its whole size, and small
// otherwise.
func Of[T any](t testing.TB, small, whole T) T {
	t.Helper()
	all, err := IsAll()
	if err != nil {
		t.Fatal(err)
	}
	if all {
		return whole
	}
	return small
}

// IsAll reports whether all tests run. It is for a TestMain; a test asks All or
// Of.
func IsAll() (bool, error) {
	switch value := os.Getenv(variable); value {
	case "all":
		return true, nil
	case "":
		return false, nil
	default:
		return false, fmt.Errorf("reading the environment variable %s: %q (want all, or no value)", variable, value)
	}
}
