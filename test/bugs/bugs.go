//go:build linux

package main

import (
	"time"
)

// waitDelay is what a command gets to end, once it was interrupted.
const waitDelay = 15 * time.Second

// bugs lists all bugs.
func bugs() []bug {
	return []bug{
		{
			name: "counted-twice", what: "a footer is counted twice",
			file: "internal/perf/totals.go",
			subs: []substitution{{
				"			t.TotalBars += l.total\n",
				"			t.TotalBars += l.total\n			if c.Idx == 0 {\n				t.TotalBars += l.total\n			}\n",
			}},
			command: []string{"go", "test", "-count=1", "-run", "TestVerify", "./test/crash"},
			says:    "over the chunks)",
		},
		{
			name: "renamed-unsynced", what: "an export is renamed before it is synced",
			file: "internal/export/write.go",
			subs: []substitution{
				{
					"	lap(&s.Write)\n",
					"	lap(&s.Write)\n	if err := f.Rename(); err != nil {\n		return nil, err\n	}\n",
				},
				{
					"	if err := f.Rename(); err != nil {\n		return nil, err\n	}\n	lap(&s.Rename)\n",
					"	lap(&s.Rename)\n",
				},
			},
			command: []string{"go", "test", "-count=1", "-run", "TestInvariant3_FailedSync", "./internal/export"},
			says:    "the old file was touched",
		},
		{
			name: "ack-first", what: "a task is acked before its footer is stored",
			file: "internal/worker/done.go",
			subs: []substitution{{
				"	a.keep(f, out.Artifacts)\n\n	e := ending{",
				"	a.keep(f, out.Artifacts)\n	a.ack(ctx)\n\n	e := ending{",
			}},
			command: []string{"go", "test", "-count=1", "-run", "TestAckAfterTheFooter", "./test/crash"},
			says:    "tasks were acked when",
		},
		{
			name: "no-compare-and-set", what: "a lease record is written without compare-and-set",
			file: "internal/bus/leases.go",
			subs: []substitution{{
				"jetstream.WithExpectLastSequencePerSubject(expect), jetstream.WithExpectStream(StreamProgress))",
				"jetstream.WithExpectStream(StreamProgress))",
			}},
			command: []string{"go", "test", "-count=1", "-run", "TestOfManyClaimsOneIsStored", "./internal/bus"},
			says:    "claims",
		},
		{
			name: "best-dropped", what: "a claim drops the best footer of the attempts before it",
			file: "internal/lease/rules.go",
			subs: []substitution{{
				"		next.Best = better(p.Own, p.Best)\n",
				"",
			}},
			command: []string{"go", "test", "-count=1", "-run", "TestInvariants1to6_OverAllInterleavings", "./internal/lease"},
			says:    "best",
		},
		{
			name: "old-stop-obeyed", what: "a resume obeys the stop that the session before it has obeyed",
			file: "internal/coordinator/life.go",
			subs: []substitution{{
				"if s.IsZero() || s.Seq <= l.Manifest.StopSeq {",
				"if s.IsZero() {",
			}},
			command: []string{"go", "test", "-count=1", "-run", "TestResumeUnderAKeptStop", "./test/crash"},
			says:    "bars are done: the program has ended",
		},
		{
			name: "own-write-lost", what: "an own late write is taken for a lost lease",
			file: "internal/worker/attempt.go",
			subs: []substitution{{
				"		case lease.StateClaimed:\n			a.seq = seq\n",
				"		case lease.StateClaimed:\n			return fmt.Errorf(\"chunk %d: %w\", a.chunk.Idx, errLeaseLost)\n",
			}},
			command: []string{"go", "test", "-count=1", "-run", "TestOwnLateWriteIsAdopted", "./internal/worker"},
			says:    "our own late write was taken for a lost lease",
		},
		{
			name: "chunk-dropped", what: "a resume drops a chunk that an earlier session has begun",
			file: "internal/coordinator/board.go",
			subs: []substitution{{
				"func (b *board) hasEnd(c *chunkState) bool {\n	switch {\n	case c.line.IsOK():\n		return true\n",
				"func (b *board) hasEnd(c *chunkState) bool {\n	switch {\n	case c.line.IsOK(), c.rec != nil && c.rec.Session < b.m.Session && !c.line.IsZero():\n		return true\n",
			}},
			command: []string{"go", "test", "-count=1", "-run", "TestGuardianKilledFirst", "./test/crash"},
			says:    "(expected \"complete\")",
		},
	}
}
