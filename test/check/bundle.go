package check

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Bundle reads the files of a bundle, by their base names.
func Bundle(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a bundle: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("reading bundle %s: %w", path, err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading bundle %s: %w", path, err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("reading %s of bundle %s: %w", h.Name, path, err)
		}
		name := filepath.Base(h.Name)
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("bundle %s has two files %s (expected each name once)", path, name)
		}
		files[name] = string(b)
	}
}
