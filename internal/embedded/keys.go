package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/nats-io/nkeys"

	"gx1replay/internal/access"
	"gx1replay/internal/atomicfile"
)

// KeyFiles are the names of the files of keys in a server's directory, the run's
// first.
func KeyFiles() []string {
	list := []string{keyFile}
	for _, role := range access.Roles() {
		if access.AccountOf(role) != access.Main {
			list = append(list, roleKeyFile(role))
		}
	}
	return list
}

func roleKeyFile(role access.Role) string { return string(role) + ".nk" }

// loadKey reads a key, or makes it, readable by its owner alone. A damaged one,
// as a crash of the host may leave it, opens nothing any more and is made anew.
// what names it in errors.
func loadKey(path, what string, log *slog.Logger) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(path)
	if err == nil {
		pair, err := nkeys.FromSeed(seed)
		if err == nil {
			return pair, nil
		}
		log.Warn("a key is damaged and is made anew; who has a copy of the old one needs the new one", "key", what, "file", path, "error", err)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", what, err)
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

// publicKey reads a key as loadKey does, and returns its public part.
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
