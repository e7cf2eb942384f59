package execengine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpacked reads an archive of archiveDir.
func unpacked(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for pack := tar.NewReader(zip); ; {
		h, err := pack.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(pack)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
}

func TestArchiveDir(t *testing.T) {
	dir := t.TempDir()
	archiveDir := func(dir string, limit int64) ([]byte, error) {
		return archiveDir(in(t, dir), limit)
	}
	if archive, err := archiveDir(dir, 100); err != nil || archive != nil {
		t.Fatalf("an empty directory: %d bytes, %v", len(archive), err)
	}
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("trades.csv", "a,b\n1,2\n")
	write("plots/one.svg", strings.Repeat("x", 80))
	write("model.bin", strings.Repeat("y", 1000))
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	archive, err := archiveDir(dir, 100)
	if err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, archive)
	if files["trades.csv"] != "a,b\n1,2\n" || len(files["plots/one.svg"]) != 80 {
		t.Errorf("what fits is not whole: %v", files)
	}
	if _, there := files["model.bin"]; there || len(files) != 3 {
		t.Errorf("files %v (want what fits, and the list of what does not)", files)
	}
	if cut := files[cutList]; !strings.Contains(cut, "model.bin (1000 bytes)") || !strings.Contains(cut, "link") {
		t.Errorf("%s says %q (want model.bin and link)", cutList, cut)
	}
	again, err := archiveDir(dir, 100)
	if err != nil || !bytes.Equal(again, archive) {
		t.Errorf("the same files make another archive (%v)", err)
	}
}

func TestEndsOfALog(t *testing.T) {
	text := "begin" + strings.Repeat(".", 1000) + "end"
	for limit, whole := range map[int64]bool{int64(len(text)): true, 100: false} {
		l, _ := mustLog(t, 300, 800)
		fmt.Fprint(l, text)
		got, info, err := l.Finish(limit)
		if err != nil || info.Size() != int64(len(text)) {
			t.Fatal(info, err)
		}
		s := string(got)
		if whole && s != text {
			t.Errorf("limit %d: %d bytes", limit, len(s))
		}
		if !whole && (!strings.HasPrefix(s, "begin") || !strings.HasSuffix(s, "end") || !strings.Contains(s, "908 bytes are left out") || len(s) > int(limit)+60) {
			t.Errorf("limit %d: %q", limit, s)
		}
	}
}
