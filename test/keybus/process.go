package keybus

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
)

// Process is a bus whose one server is a process of its own, which may be told
// to reload its configuration. (The server's reload has data races with what
// its clients do, so a server inside a test cannot reload under the race
// detector.)
type Process struct {
	*Bus
	url, log string
	cmd      *exec.Cmd
	ended    chan struct{} // closed once the process was reaped
}

// The server's log says so.
const (
	saidReady    = "Server is ready"
	saidReloaded = "Reloaded server configuration"
)

// StartProcess starts the nats-server at path binary with the first server's
// configuration of cfg. It is killed when t ends.
func StartProcess(t testing.TB, binary string, cfg Config) *Process {
	t.Helper()
	p := &Process{Bus: newBus(t), ended: make(chan struct{})}
	p.Configure(cfg)
	address := freeAddresses(t, 1)[0]
	p.url, p.log = "nats://"+address, filepath.Join(p.dir, "server.log")
	var text bytes.Buffer
	must(t, access.WriteServer(&text, access.Server{Name: "process", Listen: address, StoreDir: filepath.Join(p.dir, "store"), Users: "users.conf"}))
	conf := filepath.Join(p.dir, "process.conf")
	must(t, os.WriteFile(conf, text.Bytes(), 0o600))
	p.cmd = exec.Command(binary, "-c", conf, "-l", p.log)
	must(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // a kill is its usual end
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	p.waitFor(saidReady, 1)
	return p
}

// URL is the server's address.
func (p *Process) URL() string { return p.url }

// Connect connects the user of role r.
func (p *Process) Connect(r access.Role) *nats.Conn {
	p.t.Helper()
	return p.dial(p.url, p.Key(r), nats.CustomInboxPrefix(access.Inbox(p.Public(r))))
}

// Reload has the server read its configuration again, and returns once it did.
func (p *Process) Reload() {
	p.t.Helper()
	n := p.said(saidReloaded)
	must(p.t, p.cmd.Process.Signal(syscall.SIGHUP))
	p.waitFor(saidReloaded, n+1)
}

func (p *Process) said(what string) int {
	text, err := os.ReadFile(p.log)
	if !errors.Is(err, os.ErrNotExist) {
		must(p.t, err)
	}
	return bytes.Count(text, []byte(what))
}

func (p *Process) waitFor(what string, n int) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(startTime); time.Now().Before(end); {
		if p.said(what) >= n {
			return
		}
		select {
		case <-tick.C:
		case <-p.ended:
			p.t.Fatalf("the server ended: %s", p.tail())
		}
	}
	p.t.Fatalf("the server's log does not say %q %d times: %s", what, n, p.tail())
}

func (p *Process) tail() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-1000):])
}
