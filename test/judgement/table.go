package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// rate is how often something happened.
type rate struct{ hits, n int }

func (r rate) share() float64 { return float64(r.hits) / float64(r.n) }

// String is the rate in percent.
func (r rate) String() string {
	if r.n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", 100*r.share())
}

// slack is two standard errors of a rate whose truth is share.
func (r rate) slack(share float64) float64 {
	return 2 * math.Sqrt(share*(1-share)/float64(max(r.n, 1)))
}

// table is what a simulation found, with the limits that it did not keep.
type table struct {
	title  string
	head   []string
	rows   [][]string
	broken []string
}

func newTable(title string, head ...string) *table { return &table{title: title, head: head} }

func (t *table) add(cells ...any) {
	var row []string
	for _, c := range cells {
		row = append(row, fmt.Sprint(c))
	}
	t.rows = append(t.rows, row)
}

// atMost notes a rate that is above a share by more than two standard errors.
func (t *table) atMost(what string, r rate, share float64) {
	if r.n > 0 && r.share() > share+r.slack(share) {
		t.broken = append(t.broken, fmt.Sprintf("%s: %s %% of %d (want at most %g %%)", what, r, r.n, 100*share))
	}
}

// atLeast notes a rate that is below a share by more than two standard errors.
func (t *table) atLeast(what string, r rate, share float64) {
	if r.n > 0 && r.share() < share-r.slack(share) {
		t.broken = append(t.broken, fmt.Sprintf("%s: %s %% of %d (want at least %g %%)", what, r, r.n, 100*share))
	}
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "**%s**\n\n| %s |\n|%s\n", t.title, strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
	for _, r := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
	}
	for _, b := range t.broken {
		fmt.Fprintf(w, "\nNot kept: %s\n", b)
	}
	fmt.Fprintln(w)
}

// list joins what a cell holds.
func list[T any](values []T) string {
	var parts []string
	for _, v := range values {
		parts = append(parts, fmt.Sprint(v))
	}
	return strings.Join(parts, " / ")
}
