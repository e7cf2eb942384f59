// Command release makes what a release has beside the two programs. It is a
// module of its own, so that what renders man pages is not linked into them.
//
//	release docs DIR                man pages and shell completions
//	release pack ARCHIVE NAME DIR   DIR as a .tar.gz file, below NAME/
//	release sums DIR                SHA256SUMS of the archives in DIR
//
// The same input gives the same bytes: times are SOURCE_DATE_EPOCH.
package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"gx1replay/internal/cli"
)

func main() {
	if err := run(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: release docs DIR | release pack ARCHIVE NAME DIR | release sums DIR")

func run(args []string, epoch string) error {
	sec, err := strconv.ParseInt(cmp.Or(epoch, "0"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	at := time.Unix(sec, 0).UTC()
	switch {
	case len(args) == 2 && args[0] == "docs":
		return writeDocs(args[1], at)
	case len(args) == 4 && args[0] == "pack":
		return pack(args[1], args[2], args[3], at)
	case len(args) == 2 && args[0] == "sums":
		return writeSums(args[1])
	}
	return errUsage
}

// writeDocs writes DIR/man/man1 and DIR/completions.
func writeDocs(dir string, at time.Time) error {
	man, completions := filepath.Join(dir, "man", "man1"), filepath.Join(dir, "completions")
	for _, d := range []string{man, completions} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	for _, cmd := range cli.Main(strings.NewReader(""), io.Discard, io.Discard).Commands() {
		cmd.DisableAutoGenTag = true
		cmd.CompletionOptions.DisableDefaultCmd = true
		header := doc.GenManHeader{Section: "1", Date: &at, Source: "GX1 Replay", Manual: "GX1 Replay"}
		if err := doc.GenManTree(cmd, &header, man); err != nil {
			return fmt.Errorf("writing the man pages of %s: %w", cmd.Name(), err)
		}
		if err := complete(cmd, completions); err != nil {
			return fmt.Errorf("writing the completions of %s: %w", cmd.Name(), err)
		}
	}
	return nil
}

// complete writes the completions of a program, each under the name that its
// shell looks for.
func complete(cmd *cobra.Command, dir string) error {
	return errors.Join(
		cmd.GenBashCompletionFileV2(filepath.Join(dir, cmd.Name()+".bash"), true),
		cmd.GenZshCompletionFile(filepath.Join(dir, "_"+cmd.Name())),
		cmd.GenFishCompletionFile(filepath.Join(dir, cmd.Name()+".fish"), true),
	)
}

// pack writes the files of dir, in order of their names, below name.
func pack(archive, name, dir string, at time.Time) (err error) {
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("packing %s: %w", dir, err)
		}
	}()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	err = filepath.WalkDir(dir, func(from string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, from)
		if err != nil {
			return err
		}
		return add(w, from, path.Join(name, filepath.ToSlash(rel)), e, at)
	})
	return errors.Join(err, w.Close(), z.Close())
}

// add writes a directory or a plain file. Owner, group and times are the same
// on every machine, and so are the modes.
func add(w *tar.Writer, from, name string, e fs.DirEntry, at time.Time) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	h := tar.Header{Name: name, Mode: 0o644, ModTime: at, Format: tar.FormatPAX}
	switch {
	case e.IsDir():
		h.Name, h.Typeflag, h.Mode = name+"/", tar.TypeDir, 0o755
		return w.WriteHeader(&h)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is %v (want a plain file)", from, info.Mode())
	}
	if info.Mode()&0o111 != 0 {
		h.Mode = 0o755
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := w.WriteHeader(&h); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return errors.Join(err, in.Close())
}

// writeSums writes SHA256SUMS in the form of sha256sum.
func writeSums(dir string) error {
	archives, err := filepath.Glob(filepath.Join(dir, "*.tar.gz"))
	if err != nil {
		return err
	}
	if len(archives) == 0 {
		return fmt.Errorf("%s holds no archives (want *.tar.gz)", dir)
	}
	var sums strings.Builder
	for _, a := range archives {
		b, err := os.ReadFile(a)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(b), filepath.Base(a))
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
