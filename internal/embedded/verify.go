package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/minio/highwayhash"

	"gx1replay/internal/safefile"
)

// How the server writes its files (TestFact_BlocksAreReadAs…). They are read before
// the server does, which would cut a block off at the first damaged message.

const (
	recordHeader = 22 // length, sequence, time, length of the subject
	recordHash   = 8
	// headersBit in a record's length says that the message has headers.
	headersBit = 1 << 31
	// sealed is how a block begins that is compressed, as ours never are.
	sealed = "cmp"
)

// verifyStream returns the damage of a stream's files; empty: none.
func verifyStream(dir, name string) (string, error) {
	if err := verifyMeta(dir, name); err != nil {
		return readError(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "msgs"))
	if err != nil {
		return readError(err)
	}
	var blocks []int
	for _, e := range entries {
		if text, ok := strings.CutSuffix(e.Name(), ".blk"); ok {
			if n, err := strconv.Atoi(text); err == nil {
				blocks = append(blocks, n)
			}
		}
	}
	slices.Sort(blocks)
	for i, n := range blocks {
		path := filepath.Join(dir, "msgs", strconv.Itoa(n)+".blk")
		if err := verifyBlock(path, name, n, i == len(blocks)-1); err != nil {
			return readError(err)
		}
	}
	return "", nil
}

var errDamaged = errors.New("is damaged")

// readError separates damage from a file that cannot be read now, which proves
// nothing. A missing file, what is no file, and an unreadable disk are damage.
func readError(err error) (string, error) {
	for _, now := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EACCES, syscall.EPERM} {
		if errors.Is(err, now) {
			return "", err
		}
	}
	return err.Error(), nil
}

func verifyMeta(dir, name string) error {
	path := filepath.Join(dir, "meta.inf")
	meta, err := safefile.Read(path, maxMeta)
	if err != nil {
		return err
	}
	sum, err := safefile.Read(filepath.Join(dir, "meta.sum"), maxMeta)
	if err != nil {
		return err
	}
	key := sha256.Sum256([]byte(name))
	want := highwayhash.Sum64(meta, key[:])
	if have := hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, want)); have != string(sum) {
		return fmt.Errorf("%s %w: its checksum differs from that in meta.sum", path, errDamaged)
	}
	return nil
}

// verifyBlock checks every message of a block. The last block may end within a
// message, as after a kill, or in zeros, as after a power cut: the server cuts both
// off.
func verifyBlock(path, stream string, index int, last bool) error {
	b, err := safefile.Read(path, maxBlock)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(b, []byte(sealed)) {
		return nil
	}
	key := sha256.Sum256([]byte(stream + "-" + strconv.Itoa(index)))
	sum, err := highwayhash.New64(key[:])
	if err != nil {
		return err
	}
	for at := 0; at < len(b); {
		rest := b[at:]
		bad := func(what string) error {
			return fmt.Errorf("%s %w at byte %d: %s", path, errDamaged, at, what)
		}
		if last && (len(rest) < recordHeader || len(bytes.Trim(rest, "\x00")) == 0) {
			return nil
		}
		if len(rest) < recordHeader {
			return bad("it ends within a message")
		}
		word := binary.LittleEndian.Uint32(rest)
		size, subject := int(word&^headersBit), int(binary.LittleEndian.Uint16(rest[20:]))
		fixed := recordHeader + subject + recordHash
		if word&headersBit != 0 {
			fixed += 4
		}
		switch {
		case size < fixed || size > maxBlock:
			return bad(fmt.Sprintf("a message of %d bytes", size))
		case size > len(rest) && last:
			return nil
		case size > len(rest):
			return bad("it ends within a message")
		}
		body := rest[recordHeader : size-recordHash]
		sum.Reset()
		sum.Write(rest[4:20])
		sum.Write(body[:subject])
		if word&headersBit != 0 {
			subject += 4 // the length of the headers is not summed
		}
		sum.Write(body[subject:])
		if sum.Sum64() != binary.LittleEndian.Uint64(rest[size-recordHash:]) {
			return bad("a message's checksum is wrong")
		}
		at += size
	}
	return nil
}
