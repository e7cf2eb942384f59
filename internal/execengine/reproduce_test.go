package execengine

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// attemptDir is a directory as an attempt leaves it, in a place with an
// awkward name.
func attemptDir(t *testing.T) (dir string, r Reproduction) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), `it's "a" $dir & \more`)
	out := filepath.Join(dir, "out")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	task := Task{
		RunID: "r", ChunkIdx: 3, Attempt: 2, OutDir: out, FooterFile: filepath.Join(out, "chunk_footer.json"), ProgressFile: filepath.Join(dir, "progress.jsonl"),
		StopFile: filepath.Join(dir, "stop"), Slice: TaskSlice{Path: filepath.Join(dir, "slice.csv")}, Params: map[string]string{"p": "it's $HOME"},
	}
	for name, text := range map[string]string{
		"task.json": "{}\n", "out/chunk_footer.json": "the evidence", "progress.jsonl": "{}\n", "stop": "was asked\n", "slice.csv": "the bars\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, Reproduction{
		Task: task, TaskPath: filepath.Join(dir, "task.json"), Dir: dir,
		Env: []string{
			"GX1R_FOOTER_FILE=" + out + "/chunk_footer.json", "GX1R_PROGRESS_FILE=" + dir + "/progress.jsonl", "GX1R_STOP_FILE=" + dir + "/stop",
			"GX1R_TASK_FILE=" + dir + "/task.json", "ODD='\"$x`y`\\\n!", "BASH_FUNC_f%%=() { :; }", "EMPTY=", "PATH=" + os.Getenv("PATH"), "LIST=" + out + ":" + out + "2",
		},
		Shown: map[string]bool{"GX1R_FOOTER_FILE": true, "GX1R_PROGRESS_FILE": true, "GX1R_STOP_FILE": true, "GX1R_TASK_FILE": true, "LIST": true},
		Argv: []string{"sh", "-c", `
			printf '%s|' "$@" > "$1/args"
			env > "$1/env"
			cat "$GX1R_TASK_FILE" > "$1/task"
			cat > "$1/stdin"
			pwd > "$1/pwd"
			[ ! -e "$GX1R_STOP_FILE" ] && echo '{"status":"ok"}' > "$GX1R_FOOTER_FILE" && echo '{}' >> "$GX1R_PROGRESS_FILE"
			exit 7`, "name", out, "--out=" + out + "/x", out + "2", dir + "/slice.csv", "", "a b", "it's", "\n"},
	}
}

func writeScript(t *testing.T, dir string, r Reproduction) string {
	t.Helper()
	var b bytes.Buffer
	if err := Reproduce(&b, r); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "reproduce.sh")
	if err := os.WriteFile(path, b.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-n", path).CombinedOutput(); err != nil {
		t.Fatalf("sh -n: %v\n%s\n%s", err, out, b.Bytes())
	}
	return path
}

// snapshot is all that stands in dir, but for what a script made.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"*", "out/*"} {
		names, _ := filepath.Glob(filepath.Join(literal(dir), pattern))
		for _, name := range names {
			if b, err := os.ReadFile(name); err == nil {
				files[strings.TrimPrefix(name, dir+"/")] = string(b)
			}
		}
	}
	return files
}

func TestReproduce(t *testing.T) {
	dir, r := attemptDir(t)
	script := writeScript(t, dir, r)
	before := snapshot(t, dir)
	given := filepath.Join(dir, "given here")
	for i, want := range []string{"reproduced", "reproduced-2", "given here"} {
		cmd := exec.Command(script)
		if want == "given here" {
			cmd.Args = append(cmd.Args, given)
		}
		cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH"), "LEAK=1", "CDPATH=/usr", "ODD='\"$x`y`\\\n!", "EMPTY="}
		cmd.Stdin = strings.NewReader("not for the command")
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 7 {
			t.Fatalf("%v\n%s", err, out)
		}
		at := filepath.Join(dir, want)
		if text := "reproduce.sh: it writes to " + at + "\n"; string(out) != text {
			t.Errorf("%q, want %q", out, text)
		}
		wantArgs := strings.Join([]string{at, "--out=" + at + "/x", r.Task.OutDir + "2", dir + "/slice.csv", "", "a b", "it's", "\n", ""}, "|")
		if got := contents(t, filepath.Join(at, "args")); got != wantArgs {
			t.Errorf("arguments %q\nwant %q", got, wantArgs)
		}
		env := contents(t, filepath.Join(at, "env"))
		for _, line := range []string{
			"GX1R_FOOTER_FILE=" + at + "/chunk_footer.json\n", "GX1R_PROGRESS_FILE=" + at + "/progress.jsonl\n", "GX1R_TASK_FILE=" + at + "/task.json\n",
			"ODD='\"$x`y`\\\n!\n", "EMPTY=\n", "LIST=" + at + ":" + r.Task.OutDir + "2\n",
		} {
			if !strings.Contains("\n"+env, "\n"+line) {
				t.Errorf("%q is not in the environment:\n%s", line, env)
			}
		}
		if strings.Contains(env, "LEAK") {
			t.Errorf("the environment:\n%s", env)
		}
		var task struct {
			OutDir   string            `json:"out_dir"`
			Footer   string            `json:"footer_file"`
			Progress string            `json:"progress_file"`
			Stop     string            `json:"stop_file"`
			Slice    TaskSlice         `json:"slice"`
			Params   map[string]string `json:"params"`
		}
		if err := json.Unmarshal([]byte(contents(t, filepath.Join(at, "task"))), &task); err != nil {
			t.Fatal(err)
		}
		got := []string{task.OutDir, task.Footer, task.Progress, task.Stop, task.Slice.Path, task.Params["p"]}
		if want := []string{at, at + "/chunk_footer.json", at + "/progress.jsonl", at + "/stop", dir + "/slice.csv", "it's $HOME"}; !slices.Equal(got, want) {
			t.Errorf("task %q\nwant %q", got, want)
		}
		if pwd := contents(t, filepath.Join(at, "pwd")); pwd != dir+"\n" {
			t.Errorf("it ran in %q", pwd)
		}
		if in := contents(t, filepath.Join(at, "stdin")); in != "" {
			t.Errorf("standard input %q", in)
		}
		if footer := contents(t, filepath.Join(at, "chunk_footer.json")); footer != "{\"status\":\"ok\"}\n" {
			t.Errorf("footer %q", footer)
		}
		if after := snapshot(t, dir); !maps.Equal(after, before) {
			t.Errorf("run %d changed what the attempt left:\n%q\n%q", i, after, before)
		}
	}
	for _, taken := range []string{given, r.Task.OutDir} {
		cmd := exec.Command(script, taken)
		cmd.Env = append(os.Environ(), "ODD=", "EMPTY=")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "is not empty") {
			t.Errorf("%s: %v, %s", taken, err, out)
		}
	}
}

// The script holds no value that came from the environment and no secret of the
// arguments. It names what is missing, and runs with the values that it is given.
func TestReproduce_Secrets(t *testing.T) {
	dir, r := attemptDir(t)
	r.Env = append(r.Env, "API=S3CR3T-env")
	r.Argv = []string{"sh", "-c", `printf '%s|' "$API" "$@"`, "name", "--password=S3CR3T-arg", "--token", "S3CR3T token", "it's"}
	script := writeScript(t, dir, r)
	if text := contents(t, script); strings.Contains(text, "S3CR3T") || !strings.Contains(text, "API") {
		t.Fatalf("the script:\n%s", text)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "ODD=", "EMPTY="}
	for _, c := range []struct{ set, want string }{
		{"", "reproduce.sh: API is not set (want the variable as the attempt had it)\n"},
		{"API=S3CR3T-env", "reproduce.sh: GX1R_ARG_4 is not set (want argument 4 of the command, --password=[removed], with its secret)\n"},
		{"GX1R_ARG_4=--password=S3CR3T-arg", "reproduce.sh: GX1R_ARG_6 is not set (want argument 6 of the command, [removed], with its secret)\n"},
		{"GX1R_ARG_6=S3CR3T token", ""},
	} {
		if c.set != "" {
			env = append(env, c.set)
		}
		cmd := exec.Command(script, filepath.Join(t.TempDir(), "new"))
		cmd.Env = env
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if c.want != "" && (err == nil || stderr.String() != c.want) {
			t.Errorf("%v: %v, %q (want %q)", env, err, stderr.String(), c.want)
		}
		if want := "S3CR3T-env|--password=S3CR3T-arg|--token|S3CR3T token|it's|"; c.want == "" && (err != nil || string(out) != want) {
			t.Errorf("%v, %q, %q (want %q)", err, out, stderr.String(), want)
		}
	}
}

// A serving command gets its task as a line, and the end of its input.
func TestReproduce_Serve(t *testing.T) {
	dir, r := attemptDir(t)
	r.Env = []string{"PATH=" + os.Getenv("PATH")}
	r.Argv = []string{"sh", "-c", "cat"}
	r.Serve = true
	script := writeScript(t, dir, r)
	at := filepath.Join(dir, "new")
	out, err := exec.Command(script, at).Output()
	if err != nil {
		t.Fatal(err)
	}
	var line, task map[string]any
	if err := json.Unmarshal(out, &line); err != nil || line["task"] != at+"/task.json" {
		t.Fatalf("%q, %v", out, err)
	}
	if err := json.Unmarshal([]byte(contents(t, at+"/task.json")), &task); err != nil || task["stop_file"] != at+"/stop" {
		t.Fatalf("%v, %v", task, err)
	}
}

// env takes what holds a = for a variable; the program is started all the
// same.
func TestReproduce_Odd(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a=b"), []byte("#!/bin/sh\necho \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := writeScript(t, dir, Reproduction{Task: Task{RunID: "r\nrm"}, TaskPath: filepath.Join(dir, "task.json"), Dir: dir, Argv: []string{"./a=b", "it ran"}})
	if out, err := exec.Command(script).Output(); err != nil || string(out) != "it ran\n" {
		t.Errorf("%q, %v", out, err)
	}
	if err := Reproduce(new(bytes.Buffer), Reproduction{}); err == nil {
		t.Error("a script without a command")
	}
}

// Any text comes through sh as it was.
func FuzzShellQuote(f *testing.F) {
	f.Add("it's $HOME `x` \\ \n\" * ~")
	f.Add("")
	f.Add("-n /w/out/x /w/out.b")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) || len(text) > 4096 {
			t.Skip()
		}
		var list replacements
		list.add("/w/out", "$OUT")
		cmd := exec.Command("sh", "-c", "OUT=/w/out; printf %s "+list.quote(text))
		got, err := cmd.Output()
		if err != nil || string(got) != text {
			t.Fatalf("%q came as %q: %v", text, got, err)
		}
	})
}
