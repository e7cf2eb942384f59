package audit

import (
	"fmt"
	"maps"
	"slices"

	"gx1replay/internal/footer"
)

// Difference is one value of a chunk that was reported otherwise than it was
// replayed.
type Difference struct {
	Field    string `json:"field"`
	Recorded string `json:"recorded"`
	Replayed string `json:"replayed"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: recorded %s, replayed %s", d.Field, d.Recorded, d.Replayed)
}

const none = "nothing"

const maxDifferences = 50

type differences []Difference

func (d *differences) add(field string, recorded, replayed any) {
	if len(*d) < maxDifferences {
		*d = append(*d, Difference{field, fmt.Sprint(recorded), fmt.Sprint(replayed)})
	}
}

// Compare says in which counters a chunk was recorded otherwise than it was
// replayed. Times are not compared, nor who replayed it. Of a command, what one
// side did not report is compared by its name alone.
func Compare(recorded, replayed footer.Footer) []Difference {
	replayed = replayed.Normalize()
	var d differences
	names := union(recorded.Unreported, replayed.Unreported)
	unreported := func(f footer.Footer, name string) bool { return slices.Contains(f.Unreported, name) }
	for _, name := range names {
		if was, is := unreported(recorded, name), unreported(replayed, name); was != is {
			d.add(name, reported(!was), reported(!is))
		}
	}
	for _, field := range exact {
		if slices.Contains(names, field.Name) {
			continue
		}
		switch was, is := field.Value(&recorded), field.Value(&replayed); was := was.(type) {
		case footer.Counts:
			d.counts(field.Name, was, is.(footer.Counts))
		default:
			// A command's time-outs depend on how fast its machine is.
			if was != is && (field.Name != "feature_timeout_count" || recorded.Engine == footer.EngineBuiltin) {
				d.add(field.Name, was, is)
			}
		}
	}
	if recorded.Engine == footer.EngineBuiltin {
		columns := len(footer.Checkpoint{})
		if recorded.Slots == 0 { // an earlier version's rows end here
			columns = footer.CheckpointSkips + 1
		}
		d.checkpoints(recorded.Checkpoints, replayed.Checkpoints, columns)
	}
	return d
}

// exact are the fields that follow from bars, policy and models alone.
var exact = footer.Fields(func(d footer.Field) bool { return d.Exact })

func (d *differences) counts(field string, recorded, replayed footer.Counts) {
	for _, reason := range slices.Sorted(maps.Keys(merged(recorded, replayed))) {
		if was, is := recorded[reason], replayed[reason]; was != is {
			d.add(field+"."+reason, was, is)
		}
	}
}

// checkpoints compares the first columns of rows, but for times.
func (d *differences) checkpoints(recorded, replayed []footer.Checkpoint, columns int) {
	if len(recorded) != len(replayed) {
		d.add("checkpoints", fmt.Sprintf("%d rows", len(recorded)), fmt.Sprintf("%d rows", len(replayed)))
		return
	}
	for i := range recorded {
		for k := range columns {
			if was, is := recorded[i][k], replayed[i][k]; was != is && k != footer.CheckpointWallNS && k != footer.CheckpointCPUNS {
				d.add(fmt.Sprintf("checkpoints[%d][%d]", i, k), was, is)
			}
		}
	}
}

// Artifact compares what both sides list under a name, by size and SHA-256.
func Artifact(name string, recorded, replayed []footer.Artifact) []Difference {
	was, is := artifact(name, recorded), artifact(name, replayed)
	if was == is {
		return nil
	}
	return []Difference{{Field: name, Recorded: was, Replayed: is}}
}

func artifact(name string, list []footer.Artifact) string {
	i := slices.IndexFunc(list, func(a footer.Artifact) bool { return a.Name == name })
	if i < 0 {
		return none
	}
	return fmt.Sprintf("%d bytes with SHA-256 %s", list[i].Bytes, list[i].SHA256)
}

func reported(is bool) string {
	if is {
		return "reported"
	}
	return "not reported"
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func merged(a, b footer.Counts) footer.Counts {
	all := footer.Counts{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}
