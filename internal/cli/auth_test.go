package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/access"
	"gx1replay/test/keybus"
	"gx1replay/test/natsserver"
	"gx1replay/test/testsize"
)

// authBus is a server with what `auth init` has written.
type authBus struct {
	dir, url string
}

// context is the context of a role, as --context takes it.
func (b authBus) context(role string) string {
	return filepath.Join(b.dir, "nats", "context", "gx1-"+role+".json")
}

// key is the seed of a role.
func (b authBus) key(role string) string { return filepath.Join(b.dir, "keys", role+".nk") }

// program runs a command line of this package and returns its exit code and
// what it printed.
func program(t testing.TB, ctx context.Context, worker bool, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	if worker {
		code = p.ChunkWorker(ctx, args)
	} else {
		code = p.Coordinator(ctx, args)
	}
	return code, out.String(), errs.String()
}

// newAuthBus has `auth init --tls` write a bus, and starts it in this process.
func newAuthBus(t *testing.T) authBus {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bus")
	port := freePort(t)
	code, stdout, stderr := program(t, t.Context(), false, "auth", "init", "--dir", dir, "--tls",
		"--listen", "127.0.0.1:"+port, "--store-dir", filepath.Join(dir, "store"))
	if code != 0 {
		t.Fatalf("auth init: %d %s", code, stderr)
	}
	b := authBus{dir: dir, url: "tls://127.0.0.1:" + port}
	for _, path := range []string{b.key("worker"), b.context("operator"), b.key("coordinator")} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v (want mode 0600)", path, info, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "keys")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("keys: %v, %v (want mode 0700)", info, err)
	}
	if seed, err := os.ReadFile(b.key("worker")); err != nil || strings.Contains(stdout, string(bytes.TrimSpace(seed))) {
		t.Errorf("the worker's seed is printed, or missing: %v", err)
	}
	// Nothing is written over.
	if code, _, stderr := program(t, t.Context(), false, "auth", "init", "--dir", dir); code != 1 || !strings.Contains(stderr, "it is there already") {
		t.Errorf("a second auth init: %d %s", code, stderr)
	}
	certify(t, dir)
	conf := filepath.Join(dir, "server.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	// The server is started elsewhere than where its certificates are.
	text = regexp.MustCompile(`"(server\.pem|server\.key|ca\.pem)"`).ReplaceAll(text, []byte(strconv.Quote(dir + "/")[:len(dir)+2]+`$1"`))
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	natsserver.FromFile(t, conf)
	return b
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// certify makes a certificate authority and a server's certificate.
func certify(t *testing.T, dir string) {
	t.Helper()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	must(err)
	write("ca.pem", "CERTIFICATE", der)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	must(err)
	write("server.pem", "CERTIFICATE", der)
	der, err = x509.MarshalECPrivateKey(key)
	must(err)
	write("server.key", "EC PRIVATE KEY", der)
}

// A run over TLS, each process with the rights of its role; who has others is
// told so at once.
func TestRolesOverTLS(t *testing.T) {
	b := newAuthBus(t)
	out := t.TempDir()
	policy := filepath.Join("..", "..", "examples", "policies", "gated.yaml")
	run := []string{"run", "--policy", policy, "--data", "synthetic:12000", "--chunks", "6", "--output-dir", out, "--no-guardian", "--quiet"}

	workers, endWorkers := context.WithCancel(t.Context())
	defer endWorkers()
	worked := make(chan string, 1)
	go func() {
		code, _, stderr := program(t, workers, true, "--nats", b.url, "--nkey", b.key("worker"), "--tlsca", filepath.Join(b.dir, "ca.pem"),
			"--concurrency", "2", "--work-dir", filepath.Join(out, "wd"), "--cache-dir", filepath.Join(out, "cache"), "--exit-when-idle=3s")
		worked <- strconv.Itoa(code) + " " + stderr
	}()
	code, stdout, stderr := program(t, t.Context(), false, append(run, "--run-id", "roles", "--context", b.context("coordinator"), "--workers", "1")...)
	if code != 0 || !strings.Contains(stdout, "100% of the data") {
		t.Fatalf("the run: %d\n%s%s", code, stdout, stderr)
	}
	if said := <-worked; !strings.HasPrefix(said, "0 ") || strings.Contains(said, "iolation") {
		t.Errorf("the worker: %s", said)
	}
	if left, err := filepath.Glob(filepath.Join(out, "wd", "*", "chunk_*")); err != nil || len(left) > 0 {
		t.Errorf("the worker has left %v, %v of a complete run", left, err)
	}
	log, err := os.ReadFile(filepath.Join(out, "roles", "run.log"))
	if err != nil || strings.Contains(string(log), "iolation") {
		t.Errorf("the run's log, %v:\n%s", err, log)
	}

	for name, c := range map[string]struct {
		worker bool
		args   []string
		want   string
	}{
		"a run by a worker":       {false, append(run, "--run-id", "no1", "--context", b.context("worker")), "lacks the role coordinator"},
		"chunks for an observer":  {true, []string{"--context", b.context("observer"), "--work-dir", t.TempDir()}, "lacks the role worker"},
		"a stop by an observer":   {false, []string{"stop", "roles", "--context", b.context("observer")}, "lacks the role operator"},
		"a look by a worker":      {false, []string{"status", "--context", b.context("worker")}, "lacks the role observer"},
		"a stranger":              {false, []string{"status", "--nats", b.url, "--tlsca", filepath.Join(b.dir, "ca.pem")}, "Authorization Violation"},
		"a stranger's chunks":     {true, []string{"--nats", b.url, "--tlsca", filepath.Join(b.dir, "ca.pem"), "--work-dir", t.TempDir()}, "Authorization Violation"},
		"an unknown authority":    {false, []string{"status", "--nats", b.url, "--nkey", b.key("observer")}, "certificate"},
		"a key that is not there": {false, []string{"status", "--nats", b.url, "--nkey", "nowhere.nk"}, "nowhere.nk"},
		"a context of no name":    {false, []string{"status", "--context", filepath.Join(b.dir, "nothing.json")}, "nothing.json"},
	} {
		begun := time.Now()
		code, _, stderr := program(t, t.Context(), c.worker, c.args...)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %d %s (want 1 and %q)", name, code, stderr, c.want)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s: it took %v to say so", name, took)
		}
	}
	if code, stdout, stderr := program(t, t.Context(), false, "status", "--context", b.context("observer")); code != 0 || !strings.Contains(stdout, "roles") {
		t.Errorf("an observer: %d %s%s", code, stdout, stderr)
	}
}

// A bus of an earlier version works, and both the doctor and the coordinator say
// that its roles can be circumvented.
func TestRolesInOneAccountAreNamed(t *testing.T) {
	testsize.All(t)
	for name, c := range map[string]struct {
		cfg  keybus.Config
		want bool
	}{"one account": {keybus.Config{Users: keybus.Flat}, true}, "an account for each role": {keybus.Config{}, false}} {
		t.Run(name, func(t *testing.T) {
			k := keybus.Start(t, c.cfg)
			said := func(text string) bool {
				return strings.Contains(text, "share one account") && strings.Contains(text, "Moving an older bus")
			}
			for _, r := range []access.Role{access.Worker, access.Operator, access.Observer} {
				code, stdout, stderr := program(t, t.Context(), false, "doctor", "--output-dir", t.TempDir(), "--nats", k.URL(0), "--nkey", k.SeedFile(r))
				if said(stdout) != c.want || r != access.Worker && code != 0 {
					t.Errorf("the doctor with the key of role %s: %d %s%s (want a warning: %v)", r, code, stdout, stderr, c.want)
				}
			}
			// The worker is there when the coordinator comes.
			ctx, cancel := context.WithCancel(t.Context())
			worked := make(chan string, 1)
			go func() {
				code, _, stderr := program(t, ctx, true, "--nats", k.URL(0), "--nkey", k.SeedFile(access.Worker), "--work-dir", t.TempDir(), "--cache-dir", t.TempDir())
				worked <- strconv.Itoa(code) + " " + stderr
			}()
			defer func() {
				cancel()
				<-worked
			}()
			root := k.ConnectRoot(0)
			underWay(t, worked, func() bool { return k.Servers[0].NumClients() > 1 })
			root.Close()
			out := t.TempDir()
			code, stdout, stderr := program(t, t.Context(), false, "run", "--run-id", "flat", "--policy", gatedPolicy(), "--data", "synthetic:4000", "--chunks", "2",
				"--workers", "0", "--output-dir", out, "--no-guardian", "--quiet", "--nats", k.URL(0), "--nkey", k.SeedFile(access.Coordinator))
			if code != 0 || !strings.Contains(stdout, "100% of the data") {
				t.Fatalf("the run: %d\n%s%s", code, stdout, stderr)
			}
			log, err := os.ReadFile(filepath.Join(out, "flat", "run.log"))
			if err != nil || strings.Contains(string(log), "share one account") != c.want {
				t.Errorf("the run's log, %v (want a warning: %v):\n%s", err, c.want, log)
			}
		})
	}
}

// A stream that an earlier version made, and in which artifacts can be overwritten,
// is named by the doctor and when a run starts, with the command that changes it.
func TestOldArtifactsStreamIsNamed(t *testing.T) {
	k := keybus.Start(t, keybus.Config{})
	root := k.ConnectRoot(0)
	defer root.Close()
	js, err := jetstream.New(root)
	if err != nil {
		t.Fatal(err)
	}
	const stream = "GX1_ARTIFACTS"
	old := jetstream.StreamConfig{
		Name: stream, Subjects: []string{"gx1.artifact.*.*.*.*"}, Storage: jetstream.FileStorage, MaxMsgsPerSubject: 1, MaxConsumers: 100_000, AllowDirect: true,
	}
	if _, err := js.CreateStream(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	const command = "nats stream edit " + stream + " --discard new --discard-per-subject"
	look := func(id string, want bool) {
		t.Helper()
		out := t.TempDir()
		code, stdout, stderr := program(t, t.Context(), false, "run", "--run-id", id, "--policy", gatedPolicy(), "--data", "synthetic:2000", "--workers", "1",
			"--output-dir", out, "--no-guardian", "--nats", k.URL(0), "--nkey", k.SeedFile(access.Coordinator))
		if code != 0 || strings.Contains(stderr, "a worker can overwrite") != want || strings.Contains(stderr, command) != want {
			t.Errorf("the run: %d %s%s (want a warning: %v)", code, stdout, stderr, want)
		}
		_, stdout, stderr = program(t, t.Context(), false, "doctor", "--output-dir", t.TempDir(), "--nats", k.URL(0), "--nkey", k.SeedFile(access.Operator))
		if strings.Contains(stdout, "a worker can overwrite") != want || strings.Contains(stdout, "→ "+command+", by a user who may edit streams") != want {
			t.Errorf("the doctor: %s%s (want a warning: %v)", stdout, stderr, want)
		}
	}
	look("before", true)
	old.Discard, old.DiscardNewPerSubject = jetstream.DiscardNew, true // what the command does
	if _, err := js.UpdateStream(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	look("after", false)
}

// What auth accounts prints is what package access exports and imports.
func TestAuthAccounts(t *testing.T) {
	code, stdout, stderr := program(t, t.Context(), false, "auth", "accounts")
	if code != 0 {
		t.Fatalf("%d %s", code, stderr)
	}
	count := func(pattern string) int { return len(regexp.MustCompile(`(?m)^`+pattern).FindAllString(stdout, -1)) }
	exports := access.Exports(access.Accounts()...)
	imports := 0
	for _, e := range exports {
		line := `nsc add export --account GX1 --name '` + regexp.QuoteMeta(string(e.Kind)+" "+e.Subject) + `' --subject '` + regexp.QuoteMeta(e.Subject) + `'`
		if e.Kind == access.Service {
			line += " --service"
		}
		if e.Many {
			line += " --response-type Stream"
		}
		if e.Threshold > 0 {
			line += " --response-threshold " + e.Threshold.String()
		}
		public := e.Kind == access.Stream && e.Subject == "gx1.stop.*"
		if !public {
			line += " --private"
		}
		if count(line+`$`) != 1 {
			t.Errorf("%+v is not exported: no line %s", e, line)
		}
		imports += len(e.Accounts)
	}
	if n := count(`nsc add export `); n != len(exports) {
		t.Errorf("%d exports (want %d)", n, len(exports))
	}
	for _, a := range access.Accounts() {
		if count(`nsc add account --name `+string(a)+`$`) != 1 {
			t.Errorf("account %s is not added", a)
		}
		if got, want := count(`nsc add import --account `+string(a)+` `), len(access.Imports(a)); got != want {
			t.Errorf("account %s has %d imports (want %d)", a, got, want)
		}
		imports -= len(access.Imports(a))
	}
	if imports != 0 || strings.Contains(stdout, "--local-subject") {
		t.Errorf("imports are not those of the exports, or are mapped:\n%s", stdout)
	}
}
