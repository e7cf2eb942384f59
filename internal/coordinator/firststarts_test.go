package coordinator

import (
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
)

func TestFirstStarts(t *testing.T) {
	a, b := lease.Holder{WorkerID: "a", Host: "h"}, lease.Holder{WorkerID: "b", Host: "h"}
	elsewhere := lease.Holder{WorkerID: "c", Host: "other"}
	claim := func(by lease.Holder, chunk, attempt int) lease.Record {
		return lease.Record{State: lease.StateClaimed, Session: 2, Holder: by, ChunkIdx: chunk, Attempt: attempt}
	}
	fails := func(r lease.Record, text, trace string) lease.Record {
		r.State, r.Error, r.Traceback, r.NotBegun = lease.StateFailed, text, trace, true
		return r
	}
	with := func(r lease.Record, change func(*lease.Record)) lease.Record {
		change(&r)
		return r
	}
	const text = "the command ended with exit code 1; its log: /x/chunk_0/attempt_1/stderr.log"
	first, second := claim(a, 0, 1), claim(b, 4, 1)
	for name, c := range map[string]struct {
		records []lease.Record
		found   bool
	}{
		"one worker, two chunks":    {[]lease.Record{first, fails(first, text, "KeyError: 'a'"), claim(a, 1, 1), fails(claim(a, 1, 1), text, "KeyError: 'a'")}, true},
		"one chunk, twice":          {[]lease.Record{first, fails(first, text, "x"), claim(a, 0, 2), fails(claim(a, 0, 2), text, "x")}, true},
		"two at a time":             {[]lease.Record{first, second, fails(second, text, "at 0x7f"), fails(first, text, "at 0x81")}, true},
		"given back, set up wrong":  {[]lease.Record{first, second, with(fails(first, text, ""), func(r *lease.Record) { r.State = lease.StateReleased }), with(fails(second, text, ""), func(r *lease.Record) { r.State = lease.StateReleased })}, true},
		"given up at once":          {[]lease.Record{first, second, with(fails(first, text, ""), func(r *lease.Record) { r.State = lease.StateExhausted }), fails(second, text, "")}, true},
		"claims that were not seen": {[]lease.Record{fails(first, text, "x"), fails(second, text, "x")}, true},
		"told once":                 {[]lease.Record{fails(first, text, "x"), fails(second, text, "x"), fails(second, text, "x")}, true},
		"one only":                  {[]lease.Record{first, fails(first, text, "x"), fails(first, text, "x"), second}, false},
		"the second is under way":   {[]lease.Record{first, second, fails(first, text, "x"), claim(a, 0, 2), fails(claim(a, 0, 2), text, "x")}, false},
		"another error":             {[]lease.Record{fails(first, text, "KeyError: 'a'"), fails(second, text, "KeyError: 'b'")}, false},
		"another exit code":         {[]lease.Record{fails(first, "the command is gone", "x"), fails(second, text, "x")}, false},
		"a bar was seen":            {[]lease.Record{first, second, with(first, func(r *lease.Record) { r.Own = &footer.Footer{BarsProcessed: 1} }), fails(first, text, "x"), fails(second, text, "x")}, false},
		"a chunk is done":           {[]lease.Record{with(first, func(r *lease.Record) { r.State = lease.StateDone }), fails(second, text, "x"), fails(claim(a, 1, 1), text, "x")}, false},
		"not by its own doing":      {[]lease.Record{with(fails(first, text, "x"), func(r *lease.Record) { r.NotBegun = false }), fails(second, text, "x"), fails(claim(a, 1, 1), text, "x")}, false},
		"given back in order":       {[]lease.Record{with(first, func(r *lease.Record) { r.State = lease.StateReleased }), fails(second, text, "x"), fails(claim(a, 1, 1), text, "x")}, false},
		"another host":              {[]lease.Record{first, claim(elsewhere, 4, 1), fails(first, text, "x"), fails(claim(elsewhere, 4, 1), text, "x")}, false},
		"an earlier session":        {[]lease.Record{with(fails(first, text, "x"), func(r *lease.Record) { r.Session = 1 }), with(fails(second, text, "x"), func(r *lease.Record) { r.Session = 1 })}, false},
	} {
		f := firstStarts{session: 2}
		var found []*StartError
		for i := range c.records {
			if err := f.take(&c.records[i]); err != nil {
				found = append(found, err)
			}
		}
		if (len(found) == 1) != c.found || len(found) > 1 {
			t.Errorf("%s: %v (want %v)", name, found, c.found)
		}
		if c.found && len(found) == 1 && !strings.Contains(found[0].Error(), c.records[0].Error) && !strings.Contains(found[0].Error(), text) {
			t.Errorf("%s: %v does not say what was wrong", name, found[0])
		}
	}
}
