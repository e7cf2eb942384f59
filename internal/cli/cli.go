// Package cli has the command lines of both programs: verbs, flags, their
// environment, help, and what is printed. It decides nothing about a run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gx1replay/internal/coordinator"
	"gx1replay/internal/export"
	"gx1replay/internal/printable"
	"gx1replay/internal/process"
	"gx1replay/internal/redact"
	"gx1replay/internal/worker"
)

// Exit codes; see the contracts in docs.
const (
	exitOK     = 0
	exitUsage  = 1 // bad usage or input; nothing was run
	exitFailed = 2 // the export failed
)

// Hooks are what tests put into a program and the local workers that it starts. The
// product's are zero.
type Hooks struct {
	// OnBar is called for each bar of an attempt before it is counted.
	OnBar func(job worker.Job) func(bar int64) error
	// Engine wraps the engine of a worker.
	Engine func(worker.Engine) worker.Engine
	// EngineVersion is what a worker reports and a coordinator requires; 0: this
	// program's.
	EngineVersion int
	// Build is what a worker reports of its build; empty: its own.
	Build string
	// Export is given to every export.
	Export export.Config
	// Observe wraps what observes a run.
	Observe func(coordinator.Observer) coordinator.Observer
}

// Program is one of the two programs, with its inputs and outputs.
type Program struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Environ        func() []string // "NAME=value", to find misspelt variables; nil: none
	Hooks          Hooks
}

// Coordinator runs the program `coordinator` with args, its name left out,
// and returns its exit code.
func (p Program) Coordinator(ctx context.Context, args []string) int {
	if len(args) > 0 && args[0] == guardianVerb {
		return p.guard(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == guardVerb {
		return process.GuardMain(args[1:])
	}
	p = p.onScreen()
	root := p.coordinatorRoot()
	// The original's command line has no verb.
	if len(args) > 0 && strings.HasPrefix(args[0], "--") && args[0] != "--help" && args[0] != "--version" {
		args = append([]string{"run"}, args...)
	}
	return p.execute(ctx, root, args)
}

func (p Program) coordinatorRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "coordinator",
		Short: "Replay market bars through a policy, in chunks, and write a true perf JSON whatever happens",
		Long: `coordinator splits a data set into chunks, has workers replay them through a
policy, and writes perf_<run_id>.json. Ctrl-C, SIGTERM, a time limit or a message
stops a run at any moment. The perf JSON then holds what was replayed and names
what is missing.`,
		Example: `  coordinator run --policy examples/policies/gated.yaml --data synthetic:70000
  coordinator run --policy gated.yaml --data XAUUSD_M5.parquet --workers 7 --timeout 1200
  coordinator stop 20260102_150405_1a2b --reason "pilot is long enough"
  coordinator export 20260102_150405_1a2b`,
		Args: cobra.NoArgs,
	}
	group(root, groupRuns, "Runs:", p.initCommand(), p.runCommand(), p.stopCommand(), p.statusCommand(), p.lsCommand(), p.showCommand(), p.exportCommand(), p.logsCommand(), p.chunkCommand())
	group(root, groupJudge, "Results:", p.compareCommand(), p.verifyCommand(), p.auditCommand())
	group(root, groupInput, "Policies, data, commands:", p.policyCommand(), p.dataCommand(), p.execCommand())
	group(root, groupHost, "Hosts and buses:", p.doctorCommand(), p.authCommand(), p.gcCommand(), p.bundleCommand())
	root.AddCommand(p.versionCommand(), p.workerCommand("worker", true))
	complete(root)
	root.SetCompletionCommandGroupID(groupHost)
	root.SetHelpCommandGroupID(groupHost)
	useHelp(root, map[string]flagGroups{"run": runFlagGroups})
	return root
}

// ChunkWorker runs the program `chunkworker`.
func (p Program) ChunkWorker(ctx context.Context, args []string) int {
	if len(args) > 0 && args[0] == guardVerb {
		return process.GuardMain(args[1:])
	}
	p = p.onScreen()
	return p.execute(ctx, p.workerCommand("chunkworker", false), args)
}

// Commands are the two programs as trees of commands, for man pages and shell
// completions.
func (p Program) Commands() []*cobra.Command {
	return []*cobra.Command{p.coordinatorRoot(), p.workerCommand("chunkworker", false)}
}

// onScreen is p with outputs that pass on no control characters: what they show
// comes from commands, from the bus and from files of others.
func (p Program) onScreen() Program {
	p.Stdout, p.Stderr = printable.NewWriter(p.Stdout), printable.NewWriter(p.Stderr)
	return p
}

// raw is what w writes to, for colours and cursor movements of our own and for
// --raw.
func raw(w io.Writer) io.Writer {
	if s, ok := w.(*printable.Writer); ok {
		return s.Unwrap()
	}
	return w
}

func (p Program) execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	p.warnUnknownVariables()
	err := refuseRemoved(args)
	if err == nil {
		err = unknownVerb(root, args)
	}
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	var code exitCode
	if err == nil || errors.As(err, &code) && code.err == nil {
		return int(code.code)
	}
	fmt.Fprintf(p.Stderr, "error: %s\n", redact.Text(err.Error()))
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		fmt.Fprintf(p.Stderr, "try:   %s\n", redact.Text(usage.hint))
	}
	if code.code != 0 {
		return code.code
	}
	return exitUsage
}

// refuseRemoved refuses a command line that was pasted as it was printed, without
// its secrets.
func refuseRemoved(args []string) error {
	for _, arg := range args {
		if strings.Contains(arg, redact.Removed) {
			return usagef("", "%s on the command line stands for a secret that was not printed: %s (want the secret in its place)", redact.Removed, arg)
		}
	}
	return nil
}

// logTo makes a log of w that holds no secrets.
func logTo(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch v := a.Value.Any().(type) {
		case string:
			a.Value = slog.StringValue(redact.Text(v))
		case []string:
			a.Value = slog.AnyValue(redact.Args(v))
		case error:
			a.Value = slog.StringValue(redact.Text(v.Error()))
		}
		return a
	}}))
}

// exitCode ends a program with a code of its own.
type exitCode struct {
	code int
	err  error // printed; nil: all was said
}

func (e exitCode) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitCode) Unwrap() error { return e.err }

// usageError is a bad command line, with what to try.
type usageError struct {
	msg  string
	hint string
}

func (e *usageError) Error() string { return e.msg }

// envPrefix: users' own replay code owns GX1_.
const envPrefix = "GX1R_"

// Flags that take their value from a variable of another name, too: the
// original's, and NATS's own.
var (
	originalEnv = map[string]string{"timeout": "GX1_MASTER_WAIT_TIMEOUT_SEC"}
	natsEnv     = map[string]string{
		"nats": "NATS_URL", "context": "NATS_CONTEXT", "creds": "NATS_CREDS", "nkey": "NATS_NKEY",
		"tlsca": "NATS_CA", "tlscert": "NATS_CERT", "tlskey": "NATS_KEY",
	}
)

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// bindEnv lets every flag of cmd be set by its environment variable, or by the one
// in foreign, and adds that to its help.
func (p Program) bindEnv(cmd *cobra.Command, foreign map[string]string) {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := envName(f.Name)
		if other, ok := foreign[f.Name]; ok {
			name += ", $" + other
		}
		f.Usage += " [$" + name + "]"
		names = append(names, f.Name)
	})
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range names {
			if cmd.Flags().Changed(name) {
				continue
			}
			for _, env := range []string{envName(name), foreign[name]} {
				if env == "" {
					continue
				}
				value := p.Getenv(env)
				if value == "" {
					continue
				}
				if err := cmd.Flags().Set(name, value); err != nil {
					return usagef("", "environment variable %s=%q: %v", env, value, err)
				}
				break
			}
		}
		return refuseZeros(cmd.Flags())
	}
	cmd.SetFlagErrorFunc(unknownFlag)
}

// Main makes the Program of this process.
func Main(stdin io.Reader, stdout, stderr io.Writer) Program {
	return Program{Stdin: stdin, Stdout: stdout, Stderr: stderr, Getenv: os.Getenv, Environ: os.Environ}
}
