package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/process"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
)

// execFlags are the flags of the engine exec. A worker takes those of the run from
// the run.
type execFlags struct {
	engine string
	// Of the command, where it runs.
	dir, footer, progress, files string
	detect                       string
	env, slotEnv, digest         []string
	serve                        bool
	recycle                      int
	memoryMax, memPerTask        byteSize
	grace, stall                 time.Duration
	// Of the run.
	emits, sliceFormat, tsFormat string
	tail                         int64
	params, ship                 []string
}

// byteSize is a flag of bytes: 512M, 4GiB, 1000000.
type byteSize int64

func (s *byteSize) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*s), 10)
}
func (s *byteSize) Type() string { return "size" }
func (s *byteSize) Set(text string) error {
	number := strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "IB"), "B"), "KMGT")
	unit := strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "IB"), "B"), number)
	factors := map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
	factor, known := factors[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || n < 0 || n*factor > 1<<60 {
		return fmt.Errorf("%q is no size (want bytes, as 1000000, 512M or 4G)", text)
	}
	*s = byteSize(n * factor)
	return nil
}

// bindCommand binds what a worker needs.
func (f *execFlags) bindCommand(fl *pflag.FlagSet) {
	fl.StringVar(&f.engine, "engine", footer.EngineBuiltin, "engine that replays chunks: builtin, or exec (the command after --)")
	fl.StringVar(&f.dir, "exec-dir", "", "exec: working directory of the command (default: the current one)")
	fl.StringArrayVar(&f.env, "exec-env", nil, "exec: environment variables to pass: NAME, a glob, or NAME=VALUE; repeatable")
	fl.StringArrayVar(&f.slotEnv, "slot-env", nil, "exec: one value per slot, NAME=V0,V1,…, such as CUDA_VISIBLE_DEVICES=0,0,1,1; repeatable")
	fl.StringVar(&f.footer, "exec-footer", "", "exec: path of the command's footer, with placeholders, or none if exit code 0 is enough (default: GX1R_FOOTER_FILE, optional)")
	fl.StringVar(&f.detect, "exec-progress", execengine.ProgressAuto, "exec: progress to recognize in the output: tqdm, n/m, none, or auto (either one, if its total matches the chunk)")
	fl.StringVar(&f.progress, "exec-progress-regex", "", "exec: regular expression with named groups that finds progress in the output, such as 'bar (?P<bars>\\d+)'")
	fl.StringArrayVar(&f.digest, "exec-digest", nil, "exec: files, directories or globs that are part of the command's identity; repeatable")
	fl.StringVar(&f.files, "files", "", "exec: directory of --exec-file files that are too large to ship")
	fl.BoolVar(&f.serve, "exec-serve", false, "exec: use one process per slot for many chunks")
	fl.IntVar(&f.recycle, "exec-recycle", 0, "exec: chunks after which a serving process is replaced (0: never)")
	fl.Var(&f.memoryMax, "exec-memory-max", "exec: memory limit of a command, such as 4G (default: no limit)")
	aboveZero(fl, "exec-memory-max", "bytes above 0; without the flag there is no limit")
	fl.Var(&f.memPerTask, "exec-mem-per-task", "exec: memory that must be free on the host before a chunk starts, such as 4G")
	fl.DurationVar(&f.grace, "grace", execengine.DefaultGrace, "exec: time from the request to stop a command to SIGKILL")
	fl.DurationVar(&f.stall, "stall-timeout", execengine.DefaultStall, "exec: fail a command that reports no new bar or phase for this long (0: no limit)")
}

func (f *execFlags) bindRun(fl *pflag.FlagSet) {
	fl.StringVar(&f.emits, "exec-emits", run.EmitsTrades, "exec: output of the command: trades, scores or signals")
	fl.StringVar(&f.sliceFormat, "slice-format", "parquet", "exec: format of {slice}: parquet or csv")
	fl.StringVar(&f.tsFormat, "exec-ts-format", execengine.TSRFC3339, "exec: format of times for the command: rfc3339, naive or epoch_ms")
	fl.Int64Var(&f.tail, "exec-tail-bars", 0, "exec: bars in a slice after its chunk")
	fl.StringArrayVar(&f.params, "param", nil, "exec: parameter NAME=VALUE, for {param.NAME}; repeatable")
	fl.StringArrayVar(&f.ship, "exec-file", nil, "exec: file to ship with the run, NAME=PATH, for {file.NAME}; repeatable")
}

// exec reports whether the engine is the user's command.
func (f *execFlags) exec() bool { return f.engine == footer.EngineExec }

// commandArgs takes arguments only after --.
func commandArgs(cmd *cobra.Command, args []string) error {
	dash := cmd.ArgsLenAtDash()
	switch {
	case len(args) == 0:
		return nil
	case dash < 0:
		return usagef(cmd.CommandPath()+" --help", "unknown argument %q (a command for --engine exec goes after --)", args[0])
	case dash > 0:
		return usagef(cmd.CommandPath()+" --help", "unknown argument %q before --", args[0])
	}
	return nil
}

// spec is the command of this command line. ships: shipped files are read, which a
// worker takes from the run.
func (f *execFlags) spec(argv []string, ships bool) (execengine.Spec, error) {
	if !f.exec() {
		if len(argv) > 0 {
			return execengine.Spec{}, usagef("--engine exec -- "+strings.Join(redact.Args(argv), " "), "a command (%s) without --engine exec", argv[0])
		}
		return execengine.Spec{}, nil
	}
	s := execengine.Spec{
		Dir: f.dir, Digest: f.digest, Env: f.env, Grace: f.grace, Stall: f.stall, Serve: f.serve, Recycle: f.recycle,
		MemoryMax: int64(f.memoryMax), MemPerTask: int64(f.memPerTask), FilesDir: f.files,
		Command: run.Command{Argv: argv, Emits: f.emits, SliceFormat: f.sliceFormat, TSFormat: f.tsFormat, TailBars: f.tail},
	}
	if !ships {
		// The run's own; what a worker checks needs some.
		s.Command.Emits, s.Command.SliceFormat, s.Command.TSFormat = run.EmitsTrades, "parquet", execengine.TSRFC3339
	}
	switch {
	case f.footer == "none":
		s.NoFooter = true
	default:
		s.Footer = f.footer
	}
	if f.grace < 0 || f.grace > time.Hour || f.stall < 0 || f.recycle < 0 {
		return s, usagef("", "--grace %v, --stall-timeout %v, --exec-recycle %d (want none below 0, a grace of 1h at most)", f.grace, f.stall, f.recycle)
	}
	var err error
	if s.Command.Params, err = pairs("--param", f.params); err != nil {
		return s, err
	}
	s.Detect = f.detect
	if err := execengine.CheckProgress(f.detect); err != nil {
		return s, usagef("", "%v", err)
	}
	if f.progress != "" {
		if s.Progress, err = execengine.NewPattern(f.progress); err != nil {
			return s, err
		}
	}
	slots, err := pairs("--slot-env", f.slotEnv)
	if err != nil {
		return s, err
	}
	s.SlotEnv = map[string][]string{}
	for name, values := range slots {
		s.SlotEnv[name] = strings.Split(values, ",")
	}
	shipped, err := pairs("--exec-file", f.ship)
	if err != nil {
		return s, err
	}
	s.Command.Files = map[string]run.CommandFile{}
	for name, path := range shipped {
		if s.Command.Files[name], err = execengine.ShipFile(path); err != nil {
			return s, fmt.Errorf("--exec-file %s: %w", name, err)
		}
	}
	if len(argv) == 0 {
		return s, s.Command.Validate()
	}
	dir, err := f.workingDir()
	if err != nil {
		return s, err
	}
	if s.Command.Digests, err = execengine.Identify(argv, dir, f.digest); err != nil {
		return s, err
	}
	check := s
	if !ships {
		check.Command.Argv = nil // placeholders of the run's names are the run's to check
		return s, execengine.CheckEnv(s.Env)
	}
	return s, check.Check()
}

// shipped are the paths of --exec-file, by their names.
func (f *execFlags) shipped() map[string]string {
	list, err := pairs("--exec-file", f.ship)
	if err != nil {
		return nil // spec has said it
	}
	return list
}

func (f *execFlags) workingDir() (string, error) {
	if f.dir == "" {
		return os.Getwd()
	}
	info, err := os.Stat(f.dir)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return "", fmt.Errorf("--exec-dir: %w", err)
	}
	return f.dir, nil
}

func pairs(flag string, list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, usagef("", "%s %q (want NAME=VALUE)", flag, text)
		}
		if err := run.CheckName(name); err != nil {
			return nil, usagef("", "%s: %v", flag, err)
		}
		if _, twice := out[name]; twice {
			return nil, usagef("", "%s %s is given twice", flag, name)
		}
		out[name] = value
	}
	return out, nil
}

// variablesVar holds a local worker's --exec-env and --slot-env: other users of the
// host can read a command line, but no environment.
const variablesVar = envPrefix + "LOCAL_VARIABLES"

// variableLists is the value of variablesVar, as JSON. Bytes, because a variable
// need not be UTF-8.
type variableLists struct {
	Env     [][]byte `json:"exec_env"`
	SlotEnv [][]byte `json:"slot_env"`
}

func (f *execFlags) takeVariables(text string) error {
	if text == "" {
		return nil
	}
	var v variableLists
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Errorf("reading %s: %w", variablesVar, err)
	}
	f.env, f.slotEnv = nil, nil
	for _, b := range v.Env {
		f.env = append(f.env, string(b))
	}
	for _, b := range v.SlotEnv {
		f.slotEnv = append(f.slotEnv, string(b))
	}
	return nil
}

// forWorker is the part of a worker's command line and environment about its
// command.
func (f *execFlags) forWorker(argv []string) (args, env []string, err error) {
	if !f.exec() {
		return nil, nil, nil
	}
	text, err := json.Marshal(variableLists{byteSlices(f.env), byteSlices(f.slotEnv)})
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the variables of the command: %w", err)
	}
	own := *f
	own.env, own.slotEnv = nil, nil
	args = append([]string{"--engine=" + f.engine}, own.list()...)
	return append(append(args, "--"), argv...), []string{variablesVar + "=" + string(text)}, nil
}

func byteSlices(list []string) (out [][]byte) {
	for _, text := range list {
		out = append(out, []byte(text))
	}
	return out
}

// list is the flags of bindCommand but the engine, as --NAME=VALUE. Defaults are in
// it, too: those of another version may differ.
func (f execFlags) list() (list []string) {
	fl := pflag.NewFlagSet("", pflag.ContinueOnError)
	var own execFlags
	own.bindCommand(fl)
	own = f
	fl.VisitAll(func(flag *pflag.Flag) {
		values := []string{flag.Value.String()}
		if many, ok := flag.Value.(pflag.SliceValue); ok {
			values = many.GetSlice()
		} else if flag.Name == "engine" || values[0] == "" {
			return
		}
		for _, v := range values {
			list = append(list, "--"+flag.Name+"="+v)
		}
	})
	return list
}

func (p Program) engineOf(spec execengine.Spec, log *slog.Logger) (*execengine.Engine, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program, to guard commands: %w", err)
	}
	dir := spec.Dir
	if dir == "" {
		if dir, err = os.Getwd(); err != nil {
			return nil, fmt.Errorf("finding the working directory: %w", err)
		}
	}
	return &execengine.Engine{
		Spec: spec, Dir: dir, Log: log,
		Guard: process.Spec{Path: exe, Args: []string{process.GuardName, guardVerb}},
		// Variables about the bus are not for the command.
		Inherited: slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, envPrefix) }),
	}, nil
}

// guardVerb is the hidden verb by which a worker starts a command's guard.
const guardVerb = "exec-guard"
