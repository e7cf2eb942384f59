package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/printable"
	"gx1replay/internal/process"
)

// Levels of a finding.
const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelError   = "error"
)

// finding is one line of the doctor.
type finding struct {
	Level string `json:"level"`
	What  string `json:"what"`
	Do    string `json:"do,omitempty"` // what helps; empty with ok
}

func ok(format string, args ...any) finding {
	return finding{levelOK, fmt.Sprintf(format, args...), ""}
}

func warn(do, format string, args ...any) finding {
	return finding{levelWarning, fmt.Sprintf(format, args...), do}
}

func bad(do, format string, args ...any) finding {
	return finding{levelError, fmt.Sprintf(format, args...), do}
}

type doctorFlags struct {
	connect                connectFlags
	outputDir, fallbackDir string
	json                   bool
}

func (p Program) doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check this machine, and a bus, for known problems",
		Long: `doctor prints one line per check: ok, a warning or an error, and what to do. It
changes nothing, except that it writes and removes a test file in the output
directory. The exit code is 1 if there is an error.`,
		Example: `  coordinator doctor
  coordinator doctor --nats nats://10.0.0.1:4222 --nkey worker.nk
  coordinator doctor --context gx1-coordinator --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	f.connect.bind(fl, "", "URL of a bus to check")
	fl.StringVar(&f.outputDir, "output-dir", defaultOutputDir, "output directory of runs")
	fl.StringVar(&f.fallbackDir, "fallback-dir", "", "fallback directory of runs (default: the system's temporary directory)")
	bindJSON(fl, &f.json)
	p.bindEnv(cmd, natsEnv)
	return cmd
}

func (p Program) doctor(ctx context.Context, f doctorFlags) error {
	list, err := f.examine(ctx)
	if err != nil {
		return err
	}
	if f.json {
		err = p.printJSON(list)
	} else {
		err = printFindings(raw(p.Stdout), list, isTerminal(p.Stdout) && p.Getenv("NO_COLOR") == "" && p.Getenv("TERM") != "dumb")
	}
	if err != nil {
		return err
	}
	for _, x := range list {
		if x.Level == levelError {
			return exitCode{code: 1}
		}
	}
	return nil
}

func (f *doctorFlags) examine(ctx context.Context) ([]finding, error) {
	list := []finding{ok("%s", versionLine())}
	fallback := f.fallbackDir
	if fallback == "" {
		fallback = os.TempDir()
	}
	list = append(list, directory("output directory", f.outputDir), directory("fallback directory", fallback))
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil {
		list = append(list, openFiles(files.Cur))
	}
	var length unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &length); err == nil {
		list = append(list, fileSize(length.Cur)...)
	}
	list = append(list, leftovers()...)
	if !f.connect.external() {
		return append(list, port(coordinator.DefaultListen)), nil
	}
	where, err := f.connect.access()
	if err != nil {
		return nil, err
	}
	return append(list, examineBus(ctx, where)...), nil
}

func versionLine() string {
	v := version()
	return strings.TrimSpace("coordinator " + v.Module + " " + v.Commit)
}

// Bytes that a disk should have free: a perf JSON of 10,000 chunks has 121 MB,
// and an embedded bus holds the data set.
const (
	littleSpace = 100 << 20
	someSpace   = 2 << 30
)

// directory tries what an export does there: write aside, sync, rename.
func directory(what, dir string) finding {
	at := dir
	for { // it is made when it is needed
		if _, err := os.Stat(at); !errors.Is(err, os.ErrNotExist) || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	if err := tryWriting(at); err != nil {
		return bad("choose another one by its flag, or fix its permissions", "%s %s cannot be written: %v", what, dir, err)
	}
	var s unix.Statfs_t
	if err := unix.Statfs(at, &s); err != nil {
		return warn("", "%s %s: its free space is not known: %v", what, dir, err)
	}
	return space(what, dir, int64(s.Bavail)*int64(s.Bsize))
}

func space(what, dir string, free int64) finding {
	switch {
	case free < littleSpace:
		return bad("make room", "%s %s has %s free", what, dir, size(free))
	case free < someSpace:
		return warn("make room: an embedded bus keeps the data set there while a run lasts", "%s %s has %s free", what, dir, size(free))
	}
	return ok("%s %s can be written, %s free", what, dir, size(free))
}

func tryWriting(dir string) (err error) {
	f, err := os.CreateTemp(dir, ".gx1-doctor-*")
	if err != nil {
		return err
	}
	name := f.Name()
	defer func() { err = errors.Join(err, os.Remove(name)) }()
	_, err = f.WriteString("written by coordinator doctor")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name, name+".renamed"); err != nil {
		return err
	}
	name += ".renamed"
	return nil
}

// fewFiles is what a coordinator with dozens of workers and a server needs.
const fewFiles = 1024

func openFiles(most uint64) finding {
	if most < fewFiles {
		return warn("ulimit -n 4096, or LimitNOFILE= in its unit", "open file limit: %d", most)
	}
	return ok("open file limit: %d", most)
}

// smallFiles is less than an embedded bus and a perf JSON may need.
const smallFiles = 1 << 30

func fileSize(most uint64) []finding {
	if most >= smallFiles {
		return nil
	}
	return []finding{warn("ulimit -f unlimited, or LimitFSIZE= in its unit", "file size limit: %d bytes", most)}
}

func leftovers() []finding {
	reg, err := process.OpenRegistry("")
	if err != nil {
		return []finding{warn("coordinator stop and status then need --nats", "the run registry cannot be opened: %v", err)}
	}
	entries, problems := reg.List()
	var list []finding
	for _, err := range problems {
		list = append(list, warn("remove that file", "the run registry: %v", err))
	}
	alive := 0
	for _, e := range entries {
		if e.Alive {
			alive++
			continue
		}
		list = append(list, warn(fmt.Sprintf("resume it with the same command, or: coordinator export %s, then coordinator gc %s", e.RunID, e.RunID),
			"run %s is orphaned (its coordinator was process %d); its files are in %s", e.RunID, e.PID, e.OutputDir))
	}
	return append(list, ok("%d runs under way on this machine", alive))
}

func port(listen string) finding {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return warn("nothing to do: an embedded bus uses a free port and prints it", "%s is in use: a plain `nats pub` reaches the program that uses it", listen)
	}
	_ = l.Close()
	return ok("%s is free for an embedded bus", listen)
}

func examineBus(ctx context.Context, where bus.Access) []finding {
	b, err := bus.Connect(ctx, bus.Config{Access: where, Name: "gx1 doctor", Logger: discard()})
	if err != nil {
		do := "is the server up, and is that its address?"
		if !bus.Unreachable(err) {
			do = "is that the right key, context or certificate?"
		}
		return []finding{bad(do, "%v", err)}
	}
	defer b.Close()
	var list []finding
	if rights, err := b.Rights(ctx); err == nil {
		list = append(list, roles(rights))
		list = append(list, accounts(b.SharedAccount(ctx))...)
	} else {
		list = append(list, warn("give the user $SYS.REQ.USER.INFO: docs/security.md", "the rights of this user are unknown: %v", err))
	}
	h, err := b.Health(ctx)
	list = append(list, serverFindings(h, b.CheckServer())...)
	if err != nil {
		return append(list, bad("use a user that may read runs: docs/security.md", "%v", err))
	}
	for _, l := range h.Lacks {
		list = append(list, bad(l.Do, "no run can start: %s", l.What))
	}
	if !h.JetStream {
		return list
	}
	list = append(list, healthFindings(h)...)
	differences, err := b.CheckStreams(ctx, 0)
	if err != nil {
		return append(list, bad("retry", "%v", err))
	}
	return append(list, streamFindings(differences)...)
}

// roles reports the roles as which a user may act.
func roles(r bus.Rights) finding {
	may := func(permissions func(access.Role) access.Permissions) (list []string) {
		for _, role := range access.Roles() {
			lacks := permissions(role).Lacks(r.Allowed)
			if len(lacks.Publish)+len(lacks.Subscribe) == 0 {
				list = append(list, string(role))
			}
		}
		return list
	}
	list := may(access.Of)
	if older := may(access.Needs); len(list) == 0 && len(older) > 0 {
		return warn("give it the rights of this version: docs/security.md, \"Moving an older bus\"",
			"the user %s (account %s) may act as %s, with the rights of an earlier version", r.User, r.Account, strings.Join(older, ", "))
	}
	if len(list) == 0 {
		return bad("use the key or context of a role: docs/security.md", "the user %s (account %s) has the rights of no role", r.User, r.Account)
	}
	return ok("the user %s (account %s) may act as %s", r.User, r.Account, strings.Join(list, ", "))
}

// accounts reports whether each role has its own account.
func accounts(sign string, err error) []finding {
	switch {
	case err != nil:
		return []finding{warn("retry", "unknown whether each role has its own account: %v", err)}
	case sign != "":
		return []finding{warn("give each role its account: docs/security.md, \"Moving an older bus\"", "%s: %s", bus.RolesShareAnAccount, sign)}
	}
	return nil
}

// Bounds of what is fine.
const (
	slowAnswer = 100 * time.Millisecond
	wrongClock = time.Second
	payload    = 1 << 20
)

func serverFindings(h bus.Health, version error) []finding {
	list := []finding{ok("server %s answers in %v", h.Server, h.RTT.Round(10*time.Microsecond))}
	if h.RTT > slowAnswer {
		list[0] = warn("leases of 10 s tolerate that; place workers closer to the servers", "server %s answers in %v", h.Server, h.RTT.Round(time.Millisecond))
	}
	if version != nil {
		list = append(list, bad("install nats-server "+bus.LeastServer+" or later", "%v", version))
	} else {
		list = append(list, ok("its version is %s", h.Version))
	}
	return list
}

func healthFindings(h bus.Health) []finding {
	var list []finding
	if h.MaxPayload < payload {
		list = append(list, bad("set max_payload: 1MB in the server's configuration", "maximum message size: %d bytes", h.MaxPayload))
	} else {
		list = append(list, ok("maximum message size: %s", size(h.MaxPayload)))
	}
	if h.StoreMost > 0 && h.StoreUsed > h.StoreMost/10*9 {
		list = append(list, bad("coordinator gc --nats URL removes data sets and runs that are over, or raise the account's limit", "the account stores %s of %s", size(h.StoreUsed), size(h.StoreMost)))
	} else {
		list = append(list, ok("the account stores %s", size(h.StoreUsed)))
	}
	if h.ClockKnown {
		if ahead := h.Ahead.Abs(); ahead > wrongClock+h.RTT {
			list = append(list, warn("synchronize both clocks with NTP: times in files depend on them, leases do not", "the server's clock and this one differ by %v", ahead.Round(time.Millisecond)))
		} else {
			list = append(list, ok("the server's clock agrees with this one within %v", (h.RTT+time.Millisecond).Round(time.Millisecond)))
		}
	}
	single := false
	for _, s := range h.Streams {
		single = single || s.Replicas < 2
		if len(s.Away) > 0 {
			list = append(list, bad("restart the server: runs pause if one more fails", "stream %s: replicas on %s do not answer", s.Name, strings.Join(s.Away, ", ")))
		}
		if len(s.Behind) > 0 {
			list = append(list, warn("wait: it catches up by itself", "stream %s: replicas on %s are behind", s.Name, strings.Join(s.Behind, ", ")))
		}
	}
	switch {
	case len(h.Streams) == 0:
	case single && h.Cluster != "" && h.Servers >= 3:
		list = append(list, warn("nats stream edit NAME --replicas 3, for each of ours", "there are %d servers, and some streams have one replica", h.Servers))
	case single:
		list = append(list, warn(`sync_interval: "10s" or always in its jetstream block: docs/reliability.md`, "one server holds all data; its sync interval cannot be read from here (default: 2 minutes)"))
	default:
		list = append(list, ok("the streams have %d replicas", h.Streams[0].Replicas))
	}
	return list
}

func streamFindings(differences []bus.Difference) []finding {
	var list []finding
	missing := 0
	for _, d := range differences {
		switch {
		case d.Field == "":
			missing++
		case d.Harmless && d.Do != "":
			list = append(list, warn(d.Do+`, by a user who may edit streams: docs/security.md, "Moving an older bus"`, "%s", d))
		case d.Harmless:
			list = append(list, warn("nothing to do", "%s", d))
		default:
			list = append(list, bad("change it, or remove the stream when no run needs it", "%s", d))
		}
	}
	if missing > 0 {
		list = append(list, warn("nothing to do: the first run creates them", "%d streams do not exist yet", missing))
	}
	if len(list) == 0 {
		list = append(list, ok("the streams have the expected settings"))
	}
	return list
}

func printFindings(w io.Writer, list []finding, color bool) error {
	styles := map[string]string{levelOK: "\x1b[32m", levelWarning: "\x1b[33m", levelError: "\x1b[31m"}
	var b strings.Builder
	for _, x := range list {
		level := fmt.Sprintf("%-7s", x.Level)
		if color {
			level = styles[x.Level] + level + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s  %s\n", level, printable.Line(x.What))
		if x.Do != "" {
			fmt.Fprintf(&b, "%s  → %s\n", strings.Repeat(" ", 7), printable.Line(x.Do))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
