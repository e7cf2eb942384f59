package docs

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/cli"
	"gx1replay/internal/policy"
)

// help is what a command says of itself.
func help(t *testing.T, program string, verb ...string) string {
	t.Helper()
	var out bytes.Buffer
	p := cli.Main(strings.NewReader(""), &out, &out)
	p.Getenv = func(string) string { return "" }
	run := p.Coordinator
	if program == "chunkworker" {
		run = p.ChunkWorker
	}
	if code := run(t.Context(), append(verb, "--help")); code != 0 {
		t.Fatalf("%s %v --help: exit code %d", program, verb, code)
	}
	return out.String()
}

// verbs are the verbs of `coordinator`; a test holds them against its help.
var verbs = []string{"run", "stop", "status", "logs", "chunk", "export", "verify", "compare", "gc", "data gen", "data info", "data convert", "data check", "data cut", "policy check", "exec check", "auth init", "auth accounts", "auth permissions", "doctor", "bundle", "audit", "version", "init", "ls", "show", "completion"}

// commands maps each command to its help.
func commands(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"chunkworker": help(t, "chunkworker"), "coordinator": help(t, "coordinator")}
	for _, v := range verbs {
		all["coordinator "+v] = help(t, "coordinator", strings.Fields(v)...)
	}
	return all
}

// TestVerbs: every verb that the help lists is known here, so that documents
// are held against all of them.
func TestVerbs(t *testing.T) {
	listed := regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`) // and what it is for
	var got []string
	for _, m := range listed.FindAllStringSubmatch(help(t, "coordinator"), -1) {
		switch m[1] {
		case "help", "coordinator": // an example begins with the latter
		case "data", "policy", "exec", "auth":
			for _, sub := range listed.FindAllStringSubmatch(help(t, "coordinator", m[1]), -1) {
				got = append(got, m[1]+" "+sub[1])
			}
		default:
			got = append(got, m[1])
		}
	}
	want := slices.Clone(verbs)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the help lists the verbs %q, these tests know %q", got, want)
	}
}

// TestVerbsAreDocumented: a document for users, not only the changelog, shows
// each verb in use.
func TestVerbsAreDocumented(t *testing.T) {
	shown := map[string]bool{}
	for _, d := range documents(t) {
		if strings.Contains(d.name, "CHANGELOG") || strings.Contains(d.name, "decisions") {
			continue
		}
		for _, s := range d.snippets() {
			words := strings.Fields(strings.TrimPrefix(s, "go run ./cmd/"))
			for n := 2; n <= min(3, len(words)); n++ {
				shown[strings.Join(words[:n], " ")] = true
			}
		}
	}
	for _, v := range verbs {
		if !shown["coordinator "+v] {
			t.Errorf("no document shows `coordinator %s`", v)
		}
	}
}

var flag = regexp.MustCompile(`--[a-z][a-z0-9-]*`)

// TestFlagsAndVerbsExist: a command in a document has a verb that exists, and
// flags that this verb has; a flag alone is one of some command.
func TestFlagsAndVerbsExist(t *testing.T) {
	all := commands(t)
	everything := ""
	for _, text := range all {
		everything += text
	}
	checked := 0
	for _, d := range documents(t) {
		for _, s := range d.snippets() {
			of, isCommand := commandOf(strings.TrimPrefix(s, "go run ./cmd/"), all)
			if strings.HasPrefix(s, "--") {
				of, isCommand = everything, true
			}
			if !isCommand {
				continue
			}
			if of == "" {
				t.Errorf("%s: `%s` is no command of this version", d.name, s)
			}
			for _, f := range flag.FindAllString(s, -1) {
				checked++
				if !has(of, f) {
					t.Errorf("%s: `%s`: there is no flag %s", d.name, s, f)
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("%d flags found in the documents (want 30 or more)", checked)
	}
}

// commandOf returns the help of the command that a snippet calls, "" if the
// verb does not exist; false if it calls none of our programs.
func commandOf(snippet string, all map[string]string) (string, bool) {
	words := strings.Fields(snippet)
	switch {
	case len(words) < 2: // a program's name
		return "", false
	case words[0] == "chunkworker":
		return all["chunkworker"], true
	case words[0] != "coordinator":
		return "", false
	case words[1] == "--version":
		return all["coordinator"], true
	case strings.HasPrefix(words[1], "--"): // without a verb it is run
		return all["coordinator run"], true
	case (words[1] == "data" || words[1] == "policy" || words[1] == "exec" || words[1] == "auth") && len(words) > 2:
		return all["coordinator "+words[1]+" "+words[2]], true
	}
	return all["coordinator "+words[1]], true
}

// has says whether a help names a flag, and not one that only begins so.
func has(help, flag string) bool {
	return regexp.MustCompile(regexp.QuoteMeta(flag) + `[^a-z0-9-]`).MatchString(help)
}

// TestVariablesExist: every variable of ours or NATS's in a document is one
// that some command reads, or the name of a stream or bucket.
func TestVariablesExist(t *testing.T) {
	known := map[string]bool{
		policy.PregateEnv: true,
		bus.StreamTasks:   true, bus.StreamProgress: true, bus.StreamFooters: true, bus.StreamArtifacts: true, bus.StreamStop: true, bus.StreamNotes: true,
		bus.BucketRuns: true, bus.StoreData: true,
		"GX1R_SCHEDULES": true, "GX1R_SEED": true, // of TestRandomSchedules
		"GX1R_DAMAGE":   true,                    // of TestDamagedBusAtRandom
		"GX1R_POLICIES": true, "GX1R_DATA": true, // of TestAgainstTheSlowEngine
		"GX1R_TEST": true, // of test/testsize
		// What a command of the engine exec is told.
		"GX1R_TASK_FILE": true, "GX1R_PROGRESS_FILE": true, "GX1R_FOOTER_FILE": true, "GX1R_STOP_FILE": true,
		"GX1R_ATTEMPT": true, "GX1R_SLOT": true, "GX1R_GUARD": true, "GX1_RUN_ID": true, "GX1_CHUNK_ID": true,
		"GX1_CHECKPOINT_EVERY_BARS": true, "GX1_STOP_REQUESTED": true,
	}
	name := regexp.MustCompile(`\b(?:GX1R|GX1|NATS)_[A-Z][A-Z0-9_]*\b`)
	for _, text := range commands(t) {
		for _, v := range name.FindAllString(text, -1) {
			known[v] = true
		}
	}
	for _, a := range access.Accounts() {
		known[string(a)] = true
	}
	checked := 0
	for _, d := range documents(t) {
		for _, v := range name.FindAllString(d.text, -1) {
			checked++
			if !known[v] {
				t.Errorf("%s: nobody reads %s", d.name, v)
			}
		}
	}
	if checked < 10 {
		t.Errorf("%d variables found in the documents (want 10 or more)", checked)
	}
}

// TestLinksAndPathsExist: what a document links to exists, with the heading that
// the link names.
func TestLinksAndPathsExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]+))?\)`)
	path := regexp.MustCompile(`^(?:\./)?(?:internal|cmd|docs|test|tools|scripts|examples|\.ci)(?:/[A-Za-z0-9_.-]+)+/?$`)
	there := func(d document, p string) {
		if _, err := os.Stat(p); err != nil {
			t.Errorf("%s points at what does not exist: %v", d.name, err)
		}
	}
	for _, d := range append(documents(t), ownDocuments(t)...) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(d.text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to := filepath.Join(root, d.name)
			if m[1] != "" {
				to = filepath.Join(root, filepath.Dir(d.name), m[1])
			}
			there(d, to)
			if m[2] != "" && strings.HasSuffix(to, ".md") && !slices.Contains(anchors(read(t, to)), m[2]) {
				t.Errorf("%s links to %s#%s, and that page has no such heading", d.name, m[1], m[2])
			}
		}
		for _, s := range d.snippets() {
			for _, word := range strings.Fields(s) {
				if path.MatchString(word) && !strings.HasSuffix(word, "/...") {
					there(d, filepath.Join(root, word))
				}
			}
		}
	}
}

var heading = regexp.MustCompile(`(?m)^#+ (.+)$`)

// anchors are the names by which links reach the headings of a page.
func anchors(page string) []string {
	var list []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		list = append(list, strings.ReplaceAll(name, " ", "-"))
	}
	return list
}

// TestNamedTestsExist: a test that a document names as the proof of a
// sentence is there. `TestX…` names all that begin so.
func TestNamedTestsExist(t *testing.T) {
	sources := testSources(t)
	name := regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)(…?)`)
	checked := 0
	for _, d := range documents(t) {
		for _, m := range name.FindAllStringSubmatch(d.text, -1) {
			if m[1] == "FuzzXxx" {
				continue
			}
			checked++
			want := "\nfunc " + m[1]
			if m[2] == "" {
				want += "("
			}
			if !strings.Contains(sources, want) {
				t.Errorf("%s names %s, which is no test", d.name, m[0])
			}
		}
	}
	if checked < 15 {
		t.Errorf("%d tests are named in the documents (want 15 or more)", checked)
	}
}

func testSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, "_test.go") {
				all.WriteString(read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}
