package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/redact"
	"gx1replay/test/check"
)

// unpack reads a bundle.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	files, err := check.Bundle(path)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A run whose command line, log and files hold secrets: the bundle has none.
func TestBundle(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	const secret = "hunter2hunter2"
	out := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join("..", "..", "examples", "policies", "gated.yaml")
	code, _, stderr := program(t, t.Context(), false, "run", "--policy", policy, "--data", "synthetic:400", "--chunks", "2", "--workers", "1",
		"--run-id", "b1", "--output-dir", out, "--no-guardian", "--quiet", "--listen", "127.0.0.1:0", "--engine", "exec", "--slice-format", "csv", "--",
		exe, replayVerb, "trades", "{task}", "--api-token", secret)
	if code != 0 {
		t.Fatalf("the run: %d %s", code, stderr)
	}
	log, err := os.OpenFile(filepath.Join(out, "b1", "run.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines := "connecting to nats://u:" + secret + "@h password=" + secret + "\n" +
		"AKIAIOSFODNN7EXAMPLE ghp_16C7e42F292c6912E7710c838347Ae178B4a\nAuthorization: Bearer abc.def\nGET https://h/x?X-Amz-Signature=0af1\n"
	if _, err := log.WriteString(lines); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(t.TempDir(), "report.tar.gz")
	args := []string{"bundle", "b1", "--output-dir", out, "--output", path}
	code, stdout, stderr := program(t, t.Context(), false, args...)
	if code != 0 || !strings.Contains(stdout, "report.tar.gz") {
		t.Fatalf("bundle: %d %s%s", code, stdout, stderr)
	}
	files := unpack(t, path)
	for _, name := range []string{"README.txt", "manifest.json", "footers.json", "perf.json", "run.log", "doctor.txt", "versions.json"} {
		if files[name] == "" {
			t.Errorf("%s is missing or empty", name)
		}
	}
	for name, text := range files {
		if strings.Contains(text, secret) {
			t.Errorf("%s has a secret:\n%s", name, text)
		}
	}
	if text := files["run.log"]; !strings.HasSuffix(text, "[removed] [removed]\nAuthorization: [removed]\nGET https://h/x?X-Amz-Signature=[removed]\n") {
		t.Errorf("run.log:\n%s", text)
	}
	if text := files["README.txt"]; !strings.Contains(text, "failed_export.json: there is none") || strings.Contains(text, "policy.yaml") {
		t.Errorf("README.txt:\n%s", text)
	}
	if !strings.Contains(files["perf.json"], `"outcome"`) || !strings.Contains(files["perf.json"], redact.Removed) {
		t.Error("perf.json is not the run's, or its command line is whole")
	}
	if code, _, stderr := program(t, t.Context(), false, args...); code != 1 || !strings.Contains(stderr, "is there already") {
		t.Errorf("a second bundle: %d %s", code, stderr)
	}
	with := filepath.Join(t.TempDir(), "with.tar.gz")
	if code, _, stderr := program(t, t.Context(), false, "bundle", "b1", "--output-dir", out, "--output", with, "--with-policy"); code != 0 || !strings.Contains(unpack(t, with)["policy.yaml"], "pregate") {
		t.Errorf("with the policy: %d %s", code, stderr)
	}
	if code, _, stderr := program(t, t.Context(), false, "bundle", "nobody", "--output-dir", out); code != 1 || !strings.Contains(stderr, "has no files") {
		t.Errorf("a run that never was: %d %s", code, stderr)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int64]string{10: "0123456789", 100: "0123456789", 4: "[the first 6 of 10 bytes are left out]\n6789"} {
		if got, err := tail(path, most); err != nil || string(got) != want {
			t.Errorf("%d: %q, %v (want %q)", most, got, err, want)
		}
	}
}
