package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/atomicfile"
	"gx1replay/internal/layout"
)

type authFlags struct {
	dir, listen, storeDir string
	urls                  []string
	cluster               []string
	tls                   bool
}

func (p Program) authCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "auth", Short: "Set up roles and keys for your own NATS servers", Args: cobra.NoArgs}
	cmd.AddCommand(p.authInitCommand(), p.authAccountsCommand(), p.authPermissionsCommand())
	return cmd
}

func (p Program) authInitCommand() *cobra.Command {
	var f authFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write NATS server configurations, keys and contexts, one per role",
		Long: `init writes these files into --dir, where none of them may exist yet:

  users.conf            the account of each role and its permissions; public keys only
  server.conf           a server configuration; with --cluster, server-1.conf …
  keys/ROLE.nk          the key of a role, for --nkey; copy it to where that role works
  nats/context/gx1-ROLE.json   a context of the nats command, for --context

Roles: coordinator leads runs, worker replays chunks, operator reads and stops
runs, observer reads runs. Keys and contexts have mode 0600.`,
		Example: `  coordinator auth init --dir gx1-bus --url nats://10.0.0.1:4222
  coordinator auth init --dir gx1-bus --cluster 10.0.0.1,10.0.0.2,10.0.0.3 --tls`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.authInit(f) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.dir, "dir", "gx1-bus", "directory to write to")
	fl.StringSliceVar(&f.urls, "url", nil, "URL of the server for clients (default: from --listen or --cluster)")
	fl.StringVar(&f.listen, "listen", "0.0.0.0:4222", "address on which the server listens")
	fl.StringSliceVar(&f.cluster, "cluster", nil, "hosts of a cluster of three or five servers")
	fl.StringVar(&f.storeDir, "store-dir", "/var/lib/nats", "directory of the server's files")
	fl.BoolVar(&f.tls, "tls", false, "use TLS, with server.pem, server.key and ca.pem in the servers' working directory")
	p.bindEnv(cmd, nil)
	return cmd
}

// routesPort is where servers of a cluster reach each other, NATS's own default.
const routesPort = "6222"

type madeFile struct {
	path string // below --dir
	mode fs.FileMode
	data []byte
}

func (p Program) authInit(f authFlags) error {
	_, port, err := net.SplitHostPort(f.listen)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 {
		return usagef("coordinator auth init --help", "--listen %q (want HOST:PORT)", f.listen)
	}
	if n := len(f.cluster); n != 0 && n != 3 && n != 5 {
		return usagef("coordinator auth init --help", "--cluster has %d hosts (want 3 or 5: a cluster works while more than half of it is up)", n)
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	files, err := f.files(dir, port)
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := os.Lstat(filepath.Join(dir, file.path)); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = errors.New("it is there already; keys are not replaced")
			}
			return fmt.Errorf("%s: %w", filepath.Join(dir, file.path), err)
		}
	}
	for _, file := range files {
		if err := writeNew(filepath.Join(dir, file.path), file.data, file.mode); err != nil {
			return err
		}
	}
	return f.printNext(p.Stdout, dir, files)
}

func (f *authFlags) files(dir, port string) ([]madeFile, error) {
	urls := f.urls
	scheme := "nats"
	if f.tls {
		scheme = "tls"
	}
	if len(urls) == 0 {
		for _, host := range f.cluster {
			urls = append(urls, scheme+"://"+net.JoinHostPort(host, port))
		}
	}
	if len(urls) == 0 {
		host, _, _ := net.SplitHostPort(f.listen)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		urls = []string{scheme + "://" + net.JoinHostPort(host, port)}
	}
	var files []madeFile
	var users []access.User
	for _, role := range access.Roles() {
		seed, public, err := newKey()
		if err != nil {
			return nil, fmt.Errorf("making the key of role %s: %w", role, err)
		}
		users = append(users, access.User{Role: role, Public: public})
		key := filepath.Join("keys", string(role)+".nk")
		natsContext := map[string]string{
			"description": "GX1 Replay: " + string(role) + ", " + role.Purpose(), "url": strings.Join(urls, ","),
			"nkey": filepath.Join(dir, key), "inbox_prefix": access.Inbox(public),
		}
		if f.tls {
			natsContext["ca"] = filepath.Join(dir, "ca.pem")
		}
		text, err := json.MarshalIndent(natsContext, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("making the context of role %s: %w", role, err)
		}
		files = append(files,
			madeFile{key, 0o600, append(seed, '\n')},
			madeFile{layout.Context("", "gx1-"+string(role)), 0o600, append(text, '\n')})
	}
	var b bytes.Buffer
	if err := access.WriteUsers(&b, users); err != nil {
		return nil, err
	}
	files = append(files, madeFile{"users.conf", 0o644, b.Bytes()})
	for _, s := range f.servers(port) {
		var b bytes.Buffer
		if err := access.WriteServer(&b, s.Server); err != nil {
			return nil, err
		}
		files = append(files, madeFile{s.file, 0o644, b.Bytes()})
	}
	return files, nil
}

func newKey() (seed []byte, public string, err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, "", err
	}
	seed, errSeed := pair.Seed()
	public, err = pair.PublicKey()
	return seed, public, errors.Join(errSeed, err)
}

type serverFile struct {
	file string
	access.Server
}

func (f *authFlags) servers(port string) []serverFile {
	one := access.Server{Name: "gx1", Listen: f.listen, StoreDir: f.storeDir, Users: "users.conf", TLS: f.tls}
	if len(f.cluster) == 0 {
		return []serverFile{{"server.conf", one}}
	}
	var list []serverFile
	var routes []string
	for _, host := range f.cluster {
		routes = append(routes, net.JoinHostPort(host, routesPort))
	}
	for i, host := range f.cluster {
		s := one
		s.Name, s.Listen = fmt.Sprintf("gx1-%d", i+1), net.JoinHostPort(host, port)
		s.Cluster, s.ClusterListen, s.Routes = "gx1", net.JoinHostPort(host, routesPort), routes
		list = append(list, serverFile{fmt.Sprintf("server-%d.conf", i+1), s})
	}
	return list
}

// writeNew writes a file that must not exist yet, in a directory of mode 0700.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := atomicfile.Write(path, atomicfile.Options{Mode: mode, New: true}, atomicfile.Parts(data)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// printNext prints what was written and the next steps.
func (f *authFlags) printNext(w io.Writer, dir string, files []madeFile) error {
	var b strings.Builder
	for _, file := range files {
		fmt.Fprintf(&b, "%s %s\n", file.mode, relative(filepath.Join(dir, file.path)))
	}
	b.WriteString("\nnext\n")
	for _, s := range f.servers("4222") {
		fmt.Fprintf(&b, "  where the server runs: users.conf and %s in one directory, then  nats-server -c %s\n", s.file, s.file)
	}
	if f.tls {
		b.WriteString("  beside them: server.pem, server.key, ca.pem; ca.pem in " + relative(dir) + " for the contexts\n")
	}
	at := func(role access.Role) string { return layout.Context(dir, "gx1-"+string(role)) }
	fmt.Fprintf(&b, "  where the coordinator runs:  coordinator run … --context %s\n", at(access.Coordinator))
	fmt.Fprintf(&b, "  on each worker's host:       chunkworker --nats URL --nkey worker.nk\n")
	fmt.Fprintf(&b, "  to stop a run:               coordinator stop RUN_ID --context %s\n", at(access.Operator))
	_, err := io.WriteString(w, b.String())
	return err
}
