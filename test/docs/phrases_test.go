package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// phrase is one that documents, help texts and messages do not use, with a better
// one.
type phrase struct {
	bad    string // a regular expression; upper and lower case are the same
	better string
}

// phrases is the list. A new entry comes with all of its cases mended.
var phrases = []phrase{
	// One word for one thing: docs/glossary.md.
	{`\b(?:go|goes|going|gone|went) on with\b`, "resume"},
	{`\btak(?:e|es|en|ing) (?:it |them |chunks |tasks )?up\b`, "resume, retry or reconnect"},
	{`\bt(?:ry|ries|ried|rying) again\b`, "retry"},
	{`\b(?:give|gives|given|gave|giving)(?: \w+)? up\b`, "fail"},
	{`\blast words?\b`, "final report"},
	{`\bmend(?:s|ed|ing)?\b`, "reconcile or repair"},
	{`\beach (?:\d+ ?|two |ten )?(?:ms|s|min|seconds?|minutes?|hours?)\b`, "every 2 s"},
	{`\b(?:bars|rows|signals?|values?|chunks?|processes|process|key|role|footer|thread|line|word) (?:and processor )?a (?:second|chunk|worker|run|bar|slot|slice|leaf|node|row|signal|role|processor|CPU)\b`, "per chunk, per worker, per second"},
	{`\bone a (?:worker|chunk|bar|slot|CPU|processor|leaf|node|second)\b`, "one per worker"},
	{`\bunfit\b`, "incompatible"},
	{`\bspeaks? for\b`, "authoritative footer"},
	{`\bregister of runs\b|\bthe register\b`, "run registry"},
	{`\bcoordinator is gone\b`, "orphaned"},
	{`\bnothing was heard\b`, "not started"},
	{`\btaken up\b`, "reconnected, resumed or retried"},
	{`\bto be had\b`, "available"},
	{`\bshall\b`, "must or will"},
	{`\bwhoever\b`, "the process that, a reader that"},
	{`\bfor who\b`, "for those who"},
	{`\bwhat (?:it|they|he) leaves?\b`, "output or result"},
	{`\bthe one, the other\b`, "baseline and candidate"},
	// Conditions begin with "if" or "when".
	{`(?:^|[.;:] )(?:should|had) (?:it|the|a|they)\b`, "If …"},
	{`[,;] has it \w+`, "If it has …"},
	// Things hold, report, receive and log.
	{`\b(?:file|run|log|message|error|summary|report|header|table|page|format|help|bus|server|footer|manifest|record|output|program|note|list|name|policy|stub|section|plan) (?:says?|said|tells?|told|knows?|knew|hears?|heard|speaks?)\b`, "holds, reports, contains, prints"},
	{`\bsays? (?:so|why|which|what)\b`, "reports the reason, prints which"},
	// No stories, no cleverness.
	{`\bnever was\b`, "does not exist"},
	{`\bis nobody\b|\bnobody (?:knows|keeps|says|has told)\b`, "unknown, not stored"},
	{`\bfor good\b`, "leave it out"},
	{`\bin vain\b`, "not retried"},
	{`\bat work\b`, "active"},
	{`\bbegins? anew\b|\b(?:set up|made|make|writes?|written) anew\b`, "again"},
	{`\bstands? (?:there|twice)\b`, "is, appears twice"},
	{`\bthere twice\b`, "appears twice"},
	{`\b(?:0|zero): (?:none does|wait on)\b`, "0: no limit"},
	{`\bfor so long\b`, "this long"},
	{`\bis (?:another|other) than\b`, "differs from"},
	{`\bnot as (?:they|it) ha(?:ve|s) to be\b`, "other settings than expected"},
	{`\bas (?:it|they) (?:is|are) found\b|\bfound by (?:its|their) names?\b`, "detected"},
	{`\bprocess may have %d files open\b`, "open file limit"},
	{`\bmay be repeated\b|\bmay be given again\b`, "repeatable"},
	{`\bthat will do\b|\bso be it\b|\bas ever\b|\bin all\b,`, "say it plainly"},
	{`\bopens? whole\b`, "is damaged"},
	{`\bis it(?:s)? own master\b|\bhas no say\b`, "say it plainly"},
	{`\bthe process's? end\b of nobody`, "say it plainly"},
}

// exempt are the documents whose text is others'.
var exempt = map[string]bool{"THIRD_PARTY.md": true,
	// Not yet mended.
	"CHANGELOG.md":      true,
	"docs/perf-json.md": true, "docs/engine.md": true,
	"docs/policy.md": true, "docs/data.md": true, "docs/ends.md": true, "docs/audit.md": true,
	"docs/upgrading.md": true, "docs/performance.md": true,
}

// TestPhrases: no document, help text or message has a phrase for which there is
// a better one.
func TestPhrases(t *testing.T) {
	list := compile(t)
	for _, d := range append(documents(t), ownDocuments(t)...) {
		if exempt[d.name] {
			continue
		}
		for i, line := range strings.Split(prose(d.text), "\n") {
			judge(t, list, d.name, i+1, line)
		}
	}
	for name, text := range commands(t) {
		for i, line := range strings.Split(text, "\n") {
			judge(t, list, name+" --help", i+1, line)
		}
	}
	n := 0
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			n += judgeMessages(t, list, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 1000 {
		t.Errorf("%d messages found in the sources (want 1000 or more)", n)
	}
}

// TestPhrasesAreFound shows that a phrase of the list would be seen, in a message
// of a source file, too.
func TestPhrasesAreFound(t *testing.T) {
	list := compile(t)
	for _, text := range []string{
		"going on with a run: take up its failed chunks, too",
		"chunks to cut the data set into (default: one a worker)",
		"The file is written each 2 s.",
		"an attempt that takes longer has failed (0: none does)",
		"the bus does not open whole",
		"the footer speaks for its chunk",
	} {
		if len(faults(list, text)) == 0 {
			t.Errorf("%q has no phrase of the list", text)
		}
	}
	for _, text := range []string{
		"resuming run pilot: 6 of 8 chunks to replay",
		"exit after being idle this long; useful with autoscalers (0: never)",
		"The coordinator writes the file every 2 s.",
	} {
		if found := faults(list, text); len(found) > 0 {
			t.Errorf("%q: %q", text, found)
		}
	}
	got := messages(t, "x.go", "package x\n\nimport \"errors\"\n\ntype t struct {\n\tA int `json:\"a b\"`\n}\n\nvar e = errors.New(\"the last word is \" + `lost here`)\n")
	if len(got) != 2 || got[0].text != "the last word is " || got[0].line != 9 {
		t.Errorf("messages %v (want the two texts of line 9)", got)
	}
}

type rule struct {
	phrase
	re *regexp.Regexp
}

func compile(t *testing.T) []rule {
	t.Helper()
	var list []rule
	for _, p := range phrases {
		re, err := regexp.Compile("(?i)" + p.bad)
		if err != nil {
			t.Fatalf("phrase %q: %v", p.bad, err)
		}
		list = append(list, rule{p, re})
	}
	return list
}

// faults are the phrases of the list in a text, each with the better one.
func faults(list []rule, text string) []string {
	var found []string
	for _, r := range list {
		if bad := r.re.FindString(text); bad != "" {
			found = append(found, strconv.Quote(bad)+" (better: "+r.better+")")
		}
	}
	return found
}

func judge(t *testing.T, list []rule, where string, line int, text string) {
	t.Helper()
	for _, f := range faults(list, text) {
		t.Errorf("%s:%d: %s in %.160q", where, line, f, text)
	}
}

// prose is a document without its code, line by line.
func prose(text string) string {
	text = fence.ReplaceAllStringFunc(text, func(block string) string { return strings.Repeat("\n", strings.Count(block, "\n")) })
	return span.ReplaceAllString(text, "CODE")
}

func judgeMessages(t *testing.T, list []rule, path string) int {
	t.Helper()
	all := messages(t, path, read(t, path))
	for _, m := range all {
		judge(t, list, strings.TrimPrefix(path, root+"/"), m.line, m.text)
	}
	return len(all)
}

// message is a text in a source file.
type message struct {
	line int
	text string
}

// messages are the string literals of a source file that have more than one word:
// what it may print. Struct tags and import paths are none.
func messages(t *testing.T, path, src string) []message {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var list []message
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil
		case *ast.BasicLit:
			if n.Kind != token.STRING {
				break
			}
			if text, err := strconv.Unquote(n.Value); err == nil && strings.Contains(strings.TrimSpace(text), " ") {
				list = append(list, message{fset.Position(n.Pos()).Line, text})
			}
		}
		return true
	})
	return list
}
