// Package hosts has the tests of a run on three hosts, each of which meets one
// trouble at a chosen moment. At random moments: go run ./test/campaign hosts.
package hosts
