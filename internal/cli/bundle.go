package cli

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/atomicfile"
	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// maxBundled bounds one file of a bundle; of a longer log the end is packed.
const maxBundled = 16 << 20

type bundleFlags struct {
	whichRun
	output     string
	withPolicy bool
}

func (p Program) bundleCommand() *cobra.Command {
	var f bundleFlags
	cmd := &cobra.Command{
		Use:   "bundle RUN",
		Short: "Pack a run into one archive for a bug report",
		Long: `bundle writes an archive with the manifest of the run, its authoritative footers,
perf JSON, log, and the state of its bus and of this machine. README.txt in the
archive lists what it holds and what is missing. bundle leaves out keys, passwords,
tokens and environments, and removes what looks like one from logs and command
lines. Check the archive before you send it. bundle also works while the run is
active. If the run is complete and its perf JSON is on another machine, README.txt
names that machine. Reading an external bus requires an observer's key.`,
		Example: `  coordinator bundle pilot_on
  coordinator bundle pilot_on --output report.tar.gz --with-policy
  coordinator bundle pilot_on --nats nats://10.0.0.1:4222 --nkey observer.nk`,
		Args: oneArg("RUN", "coordinator ls"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.bundle(cmd.Context(), args[0], f) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.output, "output", "", "archive to write (default: bundle_<run_id>.tar.gz)")
	fl.BoolVar(&f.withPolicy, "with-policy", false, "include the policy")
	f.bind(fl)
	p.bindEnv(cmd, natsEnv)
	return cmd
}

type bundled struct {
	name, what string
	data       []byte
}

// parcel collects files, and what is missing.
type parcel struct {
	files   []bundled
	missing []string
}

func (p *parcel) add(name, what string, data []byte) {
	if filepath.Ext(name) == ".json" {
		data = redact.JSON(data)
	} else {
		data = []byte(redact.Text(string(data)))
	}
	p.files = append(p.files, bundled{name, what, data})
}

func (p *parcel) addJSON(name, what string, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		p.lacks(name, err)
		return
	}
	p.add(name, what, append(data, '\n'))
}

func (p *parcel) lacks(name string, err error) {
	p.missing = append(p.missing, name+": "+redact.Text(err.Error()))
}

func (p Program) bundle(ctx context.Context, text string, f bundleFlags) error {
	id, err := f.id(text)
	if err != nil {
		return err
	}
	if f.output == "" {
		f.output = "bundle_" + string(id) + ".tar.gz"
	}
	if _, err := os.Lstat(f.output); err == nil {
		return usagef("coordinator bundle "+string(id)+" --output FILE", "%s is there already", f.output)
	}
	var box parcel
	found, err := p.packRun(ctx, &box, id, f)
	if err != nil {
		return err
	}
	target := found.target
	packFiles(&box, found)
	doctor := doctorFlags{connect: f.connect, outputDir: target.Dir}
	if findings, err := doctor.examine(ctx); err == nil {
		var b bytes.Buffer
		if err := printFindings(&b, findings, false); err == nil {
			box.add("doctor.txt", "what coordinator doctor says here", b.Bytes())
		}
	} else {
		box.lacks("doctor.txt", err)
	}
	box.addJSON("versions.json", "the program and this machine", map[string]any{
		"version": version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "cpus": runtime.NumCPU(),
	})
	if err := writeBundle(f.output, id, box); err != nil {
		return err
	}
	info, err := os.Stat(f.output)
	if err != nil {
		return fmt.Errorf("looking at the archive: %w", err)
	}
	fmt.Fprintf(p.Stdout, "%s: %d files, %s; its README.txt lists what is in it\n", f.output, len(box.files)+1, size(info.Size()))
	return nil
}

func (p Program) packRun(ctx context.Context, box *parcel, id run.ID, f bundleFlags) (*foundRun, error) {
	found, done, err := p.findManifest(ctx, id, f.whichRun, access.Observer)
	if err != nil {
		return nil, err
	}
	defer done()
	m := found.m
	m.Command = m.Command.Redacted()
	box.addJSON("manifest.json", found.from, m)
	var footers []footer.Footer
	for _, c := range found.chunks {
		footers = append(footers, c.Line.Footer())
	}
	if found.elsewhere == nil {
		box.addJSON("footers.json", "the authoritative footer of each chunk", footers)
	} else {
		box.lacks("footers.json", found.elsewhere)
	}
	if found.bus != nil {
		packBus(ctx, box, found.bus)
	} else {
		box.lacks("bus.json", errors.New("the run's bus is not up"))
	}
	if f.withPolicy {
		if content, err := found.policy(ctx); err == nil {
			box.add("policy.yaml", "the policy, its includes merged", content)
		} else {
			box.lacks("policy.yaml", err)
		}
	}
	return found, nil
}

func packBus(ctx context.Context, box *parcel, b *bus.Bus) {
	h, err := b.Health(ctx)
	if err != nil {
		box.lacks("bus.json", err)
	}
	differences, err := b.CheckStreams(ctx, 0)
	if err != nil {
		box.lacks("bus.json", err)
	}
	box.addJSON("bus.json", "the state of the bus and its streams", struct {
		bus.Health
		Differences []bus.Difference
	}{h, differences})
}

func packFiles(box *parcel, found *foundRun) {
	t := found.target
	for _, f := range []struct{ name, what, path string }{
		{"perf.json", "the run's perf JSON", cmp.Or(found.perf, t.Perf())},
		{"failed_export.json", "the stub of an export that failed", t.Stub()},
		{"run.log", "the log of the coordinator and its local workers", t.Log()},
	} {
		data, err := tail(f.path, maxBundled)
		switch {
		case errors.Is(err, fs.ErrNotExist) && f.name == "perf.json" && found.elsewhere != nil:
			box.lacks(f.name, found.elsewhere)
		case errors.Is(err, fs.ErrNotExist):
			box.missing = append(box.missing, f.name+": there is none")
		case err != nil:
			box.lacks(f.name, err)
		default:
			box.add(f.name, f.what, data)
		}
	}
}

// tail reads the last bytes of a file, with a note if there are more.
func tail(path string, most int64) ([]byte, error) {
	f, info, err := safefile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was read only
	if info.Size() <= most {
		return io.ReadAll(io.LimitReader(f, most))
	}
	if _, err := f.Seek(-most, io.SeekEnd); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	return append(fmt.Appendf(nil, "[the first %d of %d bytes are left out]\n", info.Size()-most, info.Size()), data...), err
}

func writeBundle(path string, id run.ID, box parcel) error {
	err := atomicfile.Write(path, atomicfile.Options{Sync: true}, func(to io.Writer) error {
		z := gzip.NewWriter(to)
		w := tar.NewWriter(z)
		now := time.Now()
		put := func(name string, data []byte) error {
			h := &tar.Header{Name: "bundle_" + string(id) + "/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: now}
			if err := w.WriteHeader(h); err != nil {
				return err
			}
			_, err := w.Write(data)
			return err
		}
		err := put("README.txt", box.readme(id, now))
		for _, file := range box.files {
			err = errors.Join(err, put(file.name, file.data))
		}
		return errors.Join(err, w.Close(), z.Close())
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (p *parcel) readme(id run.ID, now time.Time) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Run %s of GX1 Replay, bundled %s.\n\nWhat is here\n", id, now.UTC().Format(time.RFC3339))
	for _, f := range p.files {
		fmt.Fprintf(&b, "  %-20s %9s  %s\n", f.name, size(int64(len(f.data))), f.what)
	}
	b.WriteString("\nWhat is not\n  keys, passwords, tokens, environments: what looks like one is " + redact.Removed + "\n  bars, models, shipped files, artifacts; the policy, unless --with-policy was given\n")
	for _, text := range p.missing {
		fmt.Fprintf(&b, "  %s\n", text)
	}
	return []byte(b.String())
}
