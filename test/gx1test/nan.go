package main

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"

	"gx1replay/internal/footer"
	"gx1replay/internal/worker"
)

// fault is a number that a footer is made to report.
type fault struct {
	field int // in footer.Footer
	value float64
}

func parseFaults(text string) ([]fault, error) {
	var list []fault
	for item := range strings.SplitSeq(text, ",") {
		name, what, _ := strings.Cut(item, "=")
		field := numberField(name)
		if field < 0 {
			return nil, fmt.Errorf("%q is no number of a footer that can be NaN", name)
		}
		f := fault{field: field}
		switch what {
		case "", "NaN":
			f.value = math.NaN()
		case "+Inf":
			f.value = math.Inf(1)
		case "-Inf":
			f.value = math.Inf(-1)
		default:
			return nil, fmt.Errorf("%q (want NaN, +Inf or -Inf)", item)
		}
		list = append(list, f)
	}
	return list, nil
}

// numberField finds the float64 field of a footer with this JSON name; -1 if
// there is none.
func numberField(name string) int {
	t := reflect.TypeFor[footer.Footer]()
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("json") == name && f.Type.Kind() == reflect.Float64 {
			return i
		}
	}
	return -1
}

// nanEngine spoils one number of everything that the engine reports.
type nanEngine struct {
	worker.Engine
	faults []fault
}

// Replay is the engine's, with the chunk's number spoilt.
func (e nanEngine) Replay(ctx context.Context, job worker.Job, report func(footer.Footer)) (worker.Result, error) {
	bad := e.faults[job.Chunk.Idx%len(e.faults)]
	spoil := func(f footer.Footer) footer.Footer {
		reflect.ValueOf(&f).Elem().Field(bad.field).SetFloat(bad.value)
		return f
	}
	res, err := e.Engine.Replay(ctx, job, func(f footer.Footer) { report(spoil(f)) })
	res.Footer = spoil(res.Footer)
	return res, err
}
