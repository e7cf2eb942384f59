package access

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		outer, inner string
		want         bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.b", "a", false}, {"a", "a.b", false},
		{"a.*", "a.b", true}, {"a.*", "a.*", true}, {"a.*", "a.>", false}, {"a.*", "a.b.c", false}, {"*.b", "a.b", true},
		{"a.>", "a.b.c", true}, {"a.>", "a.>", true}, {"a.>", "a.*.c", true}, {"a.>", "a", false}, {">", "a.b", true},
		{"a.b", "a.*", false}, {"a.b", "*.b", false},
	} {
		if got := Covers(c.outer, c.inner); got != c.want {
			t.Errorf("%s covers %s: %v (want %v)", c.outer, c.inner, got, c.want)
		}
	}
}

// What a pattern covers matches it, and collides with it.
func TestCoversAgainstExamples(t *testing.T) {
	token := rapid.SampledFrom([]string{"a", "b", "*"})
	pattern := rapid.Custom(func(t *rapid.T) string {
		p := strings.Join(rapid.SliceOfN(token, 1, 3).Draw(t, "tokens"), ".")
		if rapid.Bool().Draw(t, "rest") {
			p += ".>"
		}
		return p
	})
	literals := []string{"a", "b"}
	for _, x := range []string{"a", "b"} {
		for _, y := range []string{"a", "b"} {
			literals = append(literals, x+"."+y)
			for _, z := range []string{"a", "b"} {
				literals = append(literals, x+"."+y+"."+z, x+"."+y+"."+z+".a", x+"."+y+"."+z+".b.b")
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		outer, inner := pattern.Draw(t, "outer"), pattern.Draw(t, "inner")
		all, some := true, false
		for _, l := range literals {
			if Covers(inner, l) {
				all = all && Covers(outer, l)
				some = some || Covers(outer, l)
			}
		}
		if got := Covers(outer, inner); got && !all {
			t.Fatalf("%s covers %s, and not all that it matches", outer, inner)
		}
		if got := collide(outer, inner); some && !got {
			t.Fatalf("%s and %s match one subject, and do not collide", outer, inner)
		}
	})
}

func TestLacks(t *testing.T) {
	for name, c := range map[string]struct {
		got  Allowed
		want []string
	}{
		"no rules": {Allowed{}, nil},
		"its own":  {Allowed{Publish: Rule{Allow: Of(Operator).Publish}, Subscribe: Rule{Allow: Of(Operator).Subscribe}}, nil},
		"another":  {Allowed{Publish: Rule{Allow: Of(Observer).Publish}, Subscribe: Rule{Allow: Of(Observer).Subscribe}}, []string{"gx1.stop.*"}},
		"denied":   {Allowed{Publish: Rule{Deny: []string{"gx1.stop.r1"}}}, []string{"gx1.stop.*"}},
		"all":      {Allowed{Publish: Rule{Allow: []string{">"}}, Subscribe: Rule{Allow: []string{">"}}}, nil},
	} {
		lacks := Of(Operator).Lacks(c.got)
		if got := append(lacks.Publish, lacks.Subscribe...); !slices.Equal(got, c.want) {
			t.Errorf("%s: lacks %v (want %v)", name, got, c.want)
		}
	}
}

// The roles that see more may do all that those may who see less.
func TestRolesAreNested(t *testing.T) {
	for _, c := range []struct{ more, less Role }{{Coordinator, Operator}, {Coordinator, Worker}, {Operator, Observer}} {
		p := Of(c.more)
		lacks := Of(c.less).Lacks(Allowed{Publish: Rule{Allow: p.Publish}, Subscribe: Rule{Allow: p.Subscribe}})
		if len(lacks.Publish)+len(lacks.Subscribe) > 0 {
			t.Errorf("a %s lacks %v of a %s", c.more, lacks, c.less)
		}
	}
}

// With a consumer of one's own the server can be had to publish anything.
func TestOnlyACoordinatorMakesConsumersAndStreams(t *testing.T) {
	for _, r := range Roles() {
		for _, s := range Of(r).Publish {
			makes := strings.Contains(s, ".CREATE.") || strings.Contains(s, ".UPDATE.") || strings.Contains(s, ".PURGE.") || strings.Contains(s, ".DELETE.")
			if makes && r != Coordinator {
				t.Errorf("a %s may publish to %s", r, s)
			}
			if s == ">" || strings.HasPrefix(s, "$JS.API.>") || strings.Contains(s, "STREAM.DELETE") {
				t.Errorf("a %s may publish to %s", r, s)
			}
		}
		for _, s := range Of(r).Subscribe {
			if strings.HasPrefix(s, "_INBOX") || s == ">" {
				t.Errorf("a %s may listen to %s", r, s)
			}
		}
	}
}

// exampleUsers have public keys whose seeds were thrown away.
func exampleUsers() []User {
	return []User{
		{Coordinator, "UBZWPEPBIAMQTF4VWZDUNGPTJRU7JSON6GFRJREPAFILUDH7CNO4DIZK"},
		{Worker, "UDBIJOPR6AZY6VNNSBM3XSJRATWEZAKTXYFQGVDP553PZ4Z6H3TACRCK"},
		{Operator, "UCOPFSQNFXJNQMIXRCV7SP4D7VHHYNCUAWOQV2BMNH63NMPFN4FEAMPI"},
		{Observer, "UBKYPXJHDS7FAYFFO6UBJO7CDZXO7HUOLOPIMDOWDLV6GRGDSRE34KQL"},
	}
}

// deploy/nats holds what is made here.
func TestDeployedConfigurations(t *testing.T) {
	check := func(name string, write func(*bytes.Buffer) error) {
		t.Helper()
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("..", "..", "deploy", "nats", name)
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, b.Bytes()) {
			t.Errorf("%s differs from what is made (go test ./internal/access -update)", path)
		}
	}
	check("users.conf", func(b *bytes.Buffer) error { return WriteUsers(b, exampleUsers()) })
	one := Server{Name: "gx1", Listen: "0.0.0.0:4222", StoreDir: "/var/lib/nats", Users: "users.conf"}
	check("server.conf", func(b *bytes.Buffer) error { return WriteServer(b, one) })
	routes := []string{"10.0.0.1:6222", "10.0.0.2:6222", "10.0.0.3:6222"}
	for i, host := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		s := Server{
			Name: "gx1-" + string(rune('1'+i)), Listen: host + ":4222", StoreDir: "/var/lib/nats", Users: "../users.conf",
			Cluster: "gx1", ClusterListen: host + ":6222", Routes: routes,
		}
		check("cluster/server-"+string(rune('1'+i))+".conf", func(b *bytes.Buffer) error { return WriteServer(b, s) })
	}
	for _, name := range []string{"server.conf", "cluster/server-1.conf", "cluster/server-2.conf", "cluster/server-3.conf"} {
		opts, err := server.ProcessConfigFile(filepath.Join("..", "..", "deploy", "nats", name))
		if err != nil {
			t.Errorf("the server does not take %s: %v", name, err)
			continue
		}
		if len(opts.Nkeys) != len(Roles()) || opts.SyncInterval < 10*time.Second || opts.MaxPayload != 1<<20 {
			t.Errorf("%s: %d users, sync_interval %v, max_payload %d", name, len(opts.Nkeys), opts.SyncInterval, opts.MaxPayload)
		}
	}
}

// The table in docs/security.md is this one.
func TestDocumentedTable(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range Roles() {
		b.WriteString("**" + string(r) + "** " + r.Purpose() + ".\n\n```\n")
		p := For(r, "KEY")
		for _, s := range p.Publish {
			b.WriteString("publish    " + s + "\n")
		}
		for _, s := range p.Subscribe {
			b.WriteString("subscribe  " + s + "\n")
		}
		b.WriteString("```\n\n")
	}
	const begin, end = "<!-- table: made by go test ./internal/access -update -->\n", "<!-- end of table -->"
	before, rest, ok := strings.Cut(string(doc), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/security.md has no place for the table")
	}
	if *update {
		if err := os.WriteFile(filepath.Join("..", "..", "docs", "security.md"), []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != b.String() {
		t.Error("the table in docs/security.md differs (go test ./internal/access -update)")
	}
}
