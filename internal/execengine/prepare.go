package execengine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"gx1replay/internal/layout"
	"gx1replay/internal/redact"
	"gx1replay/internal/safefile"
)

// policyDir is where in an attempt's directory the policy's files are as they
// were written.
const policyDir = "policy"

// logHead and logTail bound a log: its beginning says how the command was set
// up, its end why it ended.
const (
	logHead = 256 << 10
	logTail = 768 << 10
)

// checkpointBars is what a command is told as the distance between reports.
const checkpointBars = 1024

// Rows of counters: what a whole run may keep, and one chunk.
const (
	runCheckpoints   = 65_536
	chunkCheckpoints = 1024
)

type paths struct {
	dir, out, slice, task, policy, progress, footer, stop, stdout, stderr string
}

// prepare makes all that the command needs on disk.
func (e *Engine) prepare(ctx context.Context, job Job) (_ *attempt, err error) {
	a := &attempt{e: e, job: job, log: e.Log.With("run_id", job.Manifest.RunID, "chunk_idx", job.Chunk.Idx, "attempt", job.Attempt)}
	dir, err := filepath.Abs(job.Dir)
	if err != nil {
		return nil, fmt.Errorf("the attempt's directory: %w", err)
	}
	p := &a.paths
	*p = paths{
		dir: dir, out: filepath.Join(dir, layout.OutDir), task: filepath.Join(dir, layout.TaskFile), policy: filepath.Join(dir, layout.AttemptPolicy),
		slice: filepath.Join(dir, "slice."+job.Manifest.Command.SliceFormat), progress: filepath.Join(dir, layout.ProgressFile),
		stop: filepath.Join(dir, layout.StopFile), stdout: filepath.Join(dir, layout.StdoutLog), stderr: filepath.Join(dir, layout.StderrLog),
	}
	p.footer = filepath.Join(p.out, layout.FooterFile)
	if a.dir, err = safefile.OpenDir(dir); err != nil {
		return nil, fmt.Errorf("the attempt's directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.dir.Close())
		}
	}()
	if err := a.clean(); err != nil {
		return nil, err
	}
	a.heard = heard{chunkID: strconv.Itoa(job.Chunk.Idx), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	if err := a.writeSlice(ctx); err != nil {
		return nil, err
	}
	if err := a.writeTask(ctx); err != nil {
		return nil, err
	}
	if job.Recheck != nil {
		if err := job.Recheck(); err != nil {
			return nil, err
		}
	}
	rows := min(chunkCheckpoints, runCheckpoints/job.Manifest.Plan.Chunks)
	a.tally = newTally(job.Chunk.Bars.Len(), time.Now(), rows)
	a.tally.first = job.Chunk.Bars.First + beforePeriod(job.Manifest, job.Chunk.Bars)
	a.tally.sliceRows, a.tally.sliceWarmup = a.task.Slice.Rows, a.task.WarmupBars
	a.detect = newDetector(e.Spec.Detect, a.tally.planned, a.task.Slice)
	a.progress = followFile(p.progress, a.opens(p.progress))
	if a.stdout, err = CreateLog(p.stdout, logHead, logTail); err != nil {
		return nil, err
	}
	if a.stderr, err = CreateLog(p.stderr, logHead, logTail); err != nil {
		return nil, err
	}
	return a, nil
}

// clean makes the directory fresh: an attempt's number comes again where a
// run lost its bus.
func (a *attempt) clean() error {
	for _, name := range []string{layout.OutDir, filepath.Base(a.paths.slice), layout.TaskFile, layout.AttemptPolicy, policyDir, layout.ProgressFile, layout.StopFile, layout.StdoutLog, layout.StderrLog, layout.ReproduceScript} {
		if err := a.dir.RemoveAll(name); err != nil {
			return fmt.Errorf("making the attempt's directory fresh: %w", err)
		}
	}
	if err := a.dir.Mkdir(layout.OutDir); err != nil {
		return fmt.Errorf("making the command's output directory: %w", err)
	}
	return nil
}

// writeSlice writes the slice and learns the times of its bars.
func (a *attempt) writeSlice(ctx context.Context) error {
	m, c := a.job.Manifest, a.job.Manifest.Command
	r := SliceRange(a.job.Chunk.Bars, m.Data.Bars, a.job.Policy.WarmupBars, c.TailBars)
	times, err := WriteSlice(ctx, a.paths.slice, c.SliceFormat, c.TSFormat, a.job.Source, r)
	if err != nil {
		return fmt.Errorf("writing the slice of chunk %d: %w", a.job.Chunk.Idx, err)
	}
	first := a.job.Chunk.Bars.First - r.First
	a.slice, a.own = times, times[first:first+a.job.Chunk.Bars.Len()]
	return nil
}

// writeTask writes policy and task, and expands the command's arguments.
func (a *attempt) writeTask(ctx context.Context) error {
	m, chunk, c := a.job.Manifest, a.job.Chunk, a.job.Manifest.Command
	policySHA, err := a.writePolicy()
	if err != nil {
		return fmt.Errorf("writing the policy for the command: %w", err)
	}
	data := ""
	if spec := a.e.Spec; Uses(spec.Command.Argv, "data") || Uses(spec.Env, "data") || Uses([]string{spec.Footer}, "data") {
		if data, err = a.job.DataFile(ctx); err != nil {
			return fmt.Errorf("writing the data set for the command: %w", err)
		}
	}
	stamp := func(ns int64) Time { return newTime(ns, c.TSFormat) }
	warmup := int64(len(a.slice)) - int64(len(a.own))
	tail := SliceRange(chunk.Bars, m.Data.Bars, 0, c.TailBars).End - chunk.Bars.End
	warmup -= tail
	a.task = Task{
		Schema: TaskSchema, RunID: string(m.RunID), ChunkID: strconv.Itoa(chunk.Idx), ChunkIdx: chunk.Idx, ChunksTotal: m.Plan.Chunks,
		Attempt: a.job.Attempt, Slot: a.job.Slot,
		FirstBar: chunk.Bars.First, EndBar: chunk.Bars.End, PlannedBars: chunk.Bars.Len(), WarmupBars: warmup, TailBars: tail,
		StartTS: stamp(a.own[0]), EndTS: stamp(a.own[len(a.own)-1]), LoadStartTS: stamp(a.slice[0]),
		Data:           TaskFile{Path: data, SHA256: m.Data.SHA256},
		Slice:          TaskSlice{Path: a.paths.slice, Rows: int64(len(a.slice)), FirstOwnRow: warmup, TailRows: tail},
		Policy:         TaskFile{Path: a.paths.policy, SHA256: policySHA},
		PregateEnabled: m.PregateEnabled, Params: map[string]string{}, Files: map[string]TaskFile{},
		OutDir: a.paths.out, ProgressFile: a.paths.progress, StopFile: a.paths.stop,
		CheckpointBars: checkpointBars, GraceSec: a.e.Spec.Grace.Seconds(),
	}
	maps.Copy(a.task.Params, c.Params)
	for name, f := range c.Files {
		a.task.Files[name] = TaskFile{Path: a.job.Files[name], SHA256: f.SHA256}
	}
	if err := a.expand(); err != nil {
		return err
	}
	a.task.FooterFile = a.paths.footer
	if dir := filepath.Dir(a.paths.footer); a.e.Spec.Footer == "" && dir != a.paths.out {
		return fmt.Errorf("the command's footer would be in %s", dir)
	}
	text, err := json.MarshalIndent(a.task, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the task file: %w", err)
	}
	if err := a.dir.WriteNew(layout.TaskFile, append(text, '\n')); err != nil {
		return fmt.Errorf("writing the task file: %w", err)
	}
	return nil
}

// values are what placeholders stand for.
func (a *attempt) values() Values {
	t := a.task
	v := Values{
		"task": a.paths.task, "run_id": t.RunID, "chunk_idx": t.ChunkID, "attempt": strconv.Itoa(t.Attempt), "slot": strconv.Itoa(t.Slot),
		"data": t.Data.Path, "slice": t.Slice.Path, "policy": t.Policy.Path, "out_dir": t.OutDir,
		"start_ts": t.StartTS.String(), "end_ts": t.EndTS.String(), "load_start_ts": t.LoadStartTS.String(),
	}
	for name, value := range t.Params {
		v["param."+name] = value
	}
	for name, f := range t.Files {
		v["file."+name] = f.Path
	}
	return v
}

// expand makes argument vector, environment and the footer's place.
func (a *attempt) expand() error {
	spec, v := a.e.Spec, a.values()
	for i, text := range spec.Command.Argv {
		arg, err := Expand(text, v)
		if err != nil {
			return fmt.Errorf("the command's argument %.80q: %w", redact.Args(spec.Command.Argv)[i], err)
		}
		a.argv = append(a.argv, arg)
	}
	if spec.Footer != "" {
		path, err := Expand(spec.Footer, v)
		if err != nil {
			return fmt.Errorf("--exec-footer: %w", err)
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(a.e.Dir, path)
		}
		a.paths.footer = path
	}
	var err error
	a.env, err = environ(spec.Env, spec.SlotEnv, a.job.Slot, a.e.Inherited, a.variables(), v)
	return err
}

// variables are those by which a command finds its task.
func (a *attempt) variables() map[string]string {
	gate := "0"
	if a.task.PregateEnabled {
		gate = "1"
	}
	own := map[string]string{
		"GX1_RUN_ID": a.task.RunID, "GX1_CHUNK_ID": a.task.ChunkID,
		"GX1_REPLAY_PREGATE_ENABLED": gate, "GX1_CHECKPOINT_EVERY_BARS": strconv.Itoa(checkpointBars),
		"GX1R_TASK_FILE": a.paths.task, "GX1R_PROGRESS_FILE": a.paths.progress, "GX1R_FOOTER_FILE": a.paths.footer,
		"GX1R_STOP_FILE": a.paths.stop, "GX1R_ATTEMPT": strconv.Itoa(a.task.Attempt), "GX1R_SLOT": strconv.Itoa(a.task.Slot),
	}
	if a.e.Spec.Serve {
		// What differs from chunk to chunk comes with the task.
		for _, name := range []string{"GX1_CHUNK_ID", "GX1R_TASK_FILE", "GX1R_PROGRESS_FILE", "GX1R_FOOTER_FILE", "GX1R_STOP_FILE", "GX1R_ATTEMPT"} {
			delete(own, name)
		}
	}
	return own
}

// chunkNames are the placeholders that differ from chunk to chunk, which a
// serving command gets with its tasks.
var chunkNames = []string{"task", "chunk_idx", "attempt", "slice", "out_dir", "start_ts", "end_ts", "load_start_ts", "policy"}

// Check finds what is wrong with a spec before anything starts.
func (s Spec) Check() error {
	c := s.Command
	if c.IsZero() {
		return fmt.Errorf("--engine exec needs a command after --")
	}
	if err := c.Validate(); err != nil {
		return err
	}
	texts := append(slices.Clone(c.Argv), s.Footer)
	if err := CheckArgs(texts, slices.Sorted(maps.Keys(c.Params)), slices.Sorted(maps.Keys(c.Files))); err != nil {
		return err
	}
	if s.Serve {
		for _, name := range chunkNames {
			if Uses(c.Argv, name) {
				return fmt.Errorf("{%s} in a command of --exec-serve: it differs from chunk to chunk, and comes with each task", name)
			}
		}
	}
	if s.Progress != nil && s.Detect != "" && s.Detect != ProgressAuto {
		return fmt.Errorf("--exec-progress %s and --exec-progress-regex exclude each other", s.Detect)
	}
	if s.NoFooter && s.Footer != "" {
		return fmt.Errorf("--exec-footer %s and none exclude each other", s.Footer)
	}
	return CheckEnv(s.Env)
}
