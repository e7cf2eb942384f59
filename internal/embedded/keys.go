package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/nats-io/nkeys"

	"gx1replay/internal/access"
	"gx1replay/internal/atomicfile"
	"gx1replay/internal/layout"
	"gx1replay/internal/safefile"
)

// KeyFiles are the names of the key files in a server's directory, the run's first.
func KeyFiles() []string {
	list := []string{layout.KeyFile}
	for _, role := range access.Roles() {
		if access.AccountOf(role) != access.Main {
			list = append(list, roleKeyFile(role))
		}
	}
	return list
}

func roleKeyFile(role access.Role) string { return string(role) + ".nk" }

// maxKey bounds a key's file; a seed has 58 bytes.
const maxKey = 1 << 10

// loadKey reads a key, or makes it, readable by its owner alone. A damaged one, as
// after a crash of the host, is replaced; what is no file is moved aside. what
// names it in errors.
func loadKey(path, what string, log *slog.Logger) (nkeys.KeyPair, error) {
	seed, err := safefile.Read(path, maxKey)
	if !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			var pair nkeys.KeyPair
			if pair, err = nkeys.FromSeed(seed); err == nil {
				return pair, nil
			}
		} else if damage, errNow := readError(err); damage == "" {
			return nil, fmt.Errorf("reading %s: %w", what, errNow)
		} else if _, errMove := moveAside(path, path+".damaged"); errMove != nil {
			return nil, fmt.Errorf("moving what is no %s aside: %w", what, errMove)
		}
		log.Warn("damaged key replaced; copies of the old one no longer work", "key", what, "file", path, "error", err)
	}
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", what, err)
	}
	if seed, err = pair.Seed(); err != nil {
		return nil, fmt.Errorf("making %s: %w", what, err)
	}
	if err := atomicfile.Write(path, atomicfile.Options{Sync: true}, atomicfile.Parts(seed)); err != nil {
		return nil, fmt.Errorf("writing %s: %w", what, err)
	}
	return pair, nil
}

func publicKey(path, what string, log *slog.Logger) (string, error) {
	pair, err := loadKey(path, what, log)
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", what, path, err)
	}
	return public, nil
}
