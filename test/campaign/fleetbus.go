//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"gx1replay/internal/lease"
	"gx1replay/test/drive"
)

// fleetBus is a server whose users and accounts `coordinator auth init` has
// written, with one user more, who sees everything in the main account.
type fleetBus struct {
	srv     *drive.Server
	keys    string // directory of the roles' seeds
	monitor string // address of the server's monitoring
	nc      *nats.Conn
	js      jetstream.JetStream

	mu    sync.Mutex
	tasks map[string]time.Time     // when the first task of a run was seen
	heard map[string][]heardRecord // of a run's chunk 0, in order
	news  chan struct{}            // closed and replaced when something was heard
}

// heardRecord is a lease record and when it was heard.
type heardRecord struct {
	at time.Time
	lease.Record
}

// startFleetBus starts the server with its files in dir.
func startFleetBus(ctx context.Context, server, coordinator, dir string) (b *fleetBus, err error) {
	auth := filepath.Join(dir, "auth")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the server's directory: %w", err)
	}
	cmd := exec.CommandContext(ctx, coordinator, "auth", "init", "--dir", auth, "--url", "nats://127.0.0.1:4222")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("coordinator auth init: %w: %s", err, out)
	}
	b = &fleetBus{keys: filepath.Join(auth, "keys"), tasks: map[string]time.Time{}, heard: map[string][]heardRecord{}, news: make(chan struct{})}
	watcher, err := addUser(filepath.Join(auth, "users.conf"))
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(auth, "server.conf")
	if err := dropStoreDir(conf); err != nil {
		return nil, err
	}
	if b.monitor, err = freeAddress(); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(b.monitor)
	if err != nil {
		return nil, fmt.Errorf("the address of the server's monitoring: %w", err)
	}
	b.srv, err = drive.StartServer(ctx, server, dir, "-c", conf, "-m", port)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	public, err := watcher.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("the watcher's key: %w", err)
	}
	if b.nc, err = nats.Connect(b.srv.URL(), nats.Nkey(public, watcher.Sign), nats.Name("fleet campaign")); err != nil {
		return nil, fmt.Errorf("connecting to the server: %w: %s", err, drive.Tail(b.srv.Log(), 5))
	}
	if b.js, err = jetstream.New(b.nc); err != nil {
		return nil, err
	}
	for _, subject := range []string{"gx1.task.*.0", "gx1.progress.*.0"} {
		if _, err := b.nc.Subscribe(subject, b.hear); err != nil {
			return nil, fmt.Errorf("listening on %s: %w", subject, err)
		}
	}
	return b, b.nc.FlushTimeout(hangAfter)
}

// addUser gives the first account of a users.conf, which is the main one, a user
// who may do everything in it.
func addUser(path string) (nkeys.KeyPair, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the server's users: %w", err)
	}
	const list = "users: [\n"
	if !strings.Contains(string(text), list) {
		return nil, fmt.Errorf("%s has no line %q", path, list)
	}
	changed := strings.Replace(string(text), list, list+"      { nkey: "+public+" }\n", 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		return nil, fmt.Errorf("writing the server's users: %w", err)
	}
	return pair, nil
}

// dropStoreDir has the command line of the server say where its files are, which
// the server refuses if its configuration says so, too.
func dropStoreDir(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the server's configuration: %w", err)
	}
	line := regexp.MustCompile(`(?m)^\s*store_dir: .*$`)
	if err := os.WriteFile(path, line.ReplaceAll(text, nil), 0o600); err != nil {
		return fmt.Errorf("writing the server's configuration: %w", err)
	}
	return nil
}

func (b *fleetBus) close() {
	if b.nc != nil {
		b.nc.Close()
	}
	_ = b.srv.Kill() // the campaign is over
}

// key is the file of the seed of the user of a role.
func (b *fleetBus) key(role string) string { return filepath.Join(b.keys, role+".nk") }

// hear notes tasks and lease records.
func (b *fleetBus) hear(m *nats.Msg) {
	at := time.Now()
	part := strings.Split(m.Subject, ".")
	id := part[2]
	b.mu.Lock()
	defer b.mu.Unlock()
	if part[1] == "task" {
		if _, known := b.tasks[id]; !known {
			b.tasks[id] = at
		}
	} else if r, err := lease.Decode(m.Data); err == nil {
		b.heard[id] = append(b.heard[id], heardRecord{at, r})
	}
	close(b.news)
	b.news = make(chan struct{})
}

// claim waits for the claim of chunk 0 of a run by its attempt number n and
// returns it, with the moment at which its task was published.
func (b *fleetBus) claim(ctx context.Context, id string, n int) (published time.Time, r heardRecord, err error) {
	for {
		b.mu.Lock()
		published, news := b.tasks[id], b.news
		for _, r := range b.heard[id] {
			if r.State == lease.StateClaimed && r.Attempt == n {
				b.mu.Unlock()
				return published, r, nil
			}
		}
		b.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return published, heardRecord{}, fmt.Errorf("waiting for attempt %d at the chunk of run %s: %w", n, id, context.Cause(ctx))
		}
	}
}

// published waits until a run's task is published.
func (b *fleetBus) published(ctx context.Context, id string) error {
	for {
		b.mu.Lock()
		_, known := b.tasks[id]
		news := b.news
		b.mu.Unlock()
		if known {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the task of run %s: %w", id, context.Cause(ctx))
		}
	}
}

// sent asks the server how many messages it has got from the worker processes,
// by their process ids. Those that are not connected are missing.
func (b *fleetBus) sent(ctx context.Context) (map[int]int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.monitor+"/connz?limit=10000", nil)
	if err != nil {
		return nil, fmt.Errorf("asking who is connected: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking who is connected: %w", err)
	}
	var answer struct {
		Conns []struct {
			Name   string `json:"name"`
			InMsgs int64  `json:"in_msgs"`
		} `json:"connections"`
	}
	if err := errors.Join(json.NewDecoder(resp.Body).Decode(&answer), resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("asking who is connected: %w", err)
	}
	list := map[int]int64{}
	for _, c := range answer.Conns {
		if pid, ok := pidOf(c.Name); ok {
			list[pid] = c.InMsgs
		}
	}
	return list, nil
}

// pidOf reads the process id from a worker_id, or the name of a worker's
// connection, which ends with it: HOST-PID-RANDOM.
func pidOf(name string) (int, bool) {
	part := strings.Split(name, "-")
	if len(part) < 3 {
		return 0, false
	}
	pid, err := strconv.Atoi(part[len(part)-2])
	return pid, err == nil && pid > 0
}
