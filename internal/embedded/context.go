package embedded

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/layout"
)

type natsContext struct {
	Description string `json:"description"`
	URL         string `json:"url"`
	NKey        string `json:"nkey"` // path of a seed
}

// WriteContext writes a context of the stock nats command, named name, which
// reaches this server with the run's key, and returns its path,
// dir/nats/context/name.json. It is found by
//
//	XDG_CONFIG_HOME=dir nats --context name stream ls
//
// The file has mode 0600 and replaces an earlier one. A server without a port
// has no context. name must be good for a file's name.
func (s *Server) WriteContext(dir, name string) (path string, err error) {
	url := s.URL()
	if url == "" {
		return "", fmt.Errorf("writing the nats context %s: the bus has no port", name)
	}
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return "", fmt.Errorf("writing a nats context: name %q (want a file's name)", name)
	}
	key, err := filepath.Abs(s.key)
	if err != nil {
		return "", fmt.Errorf("writing the nats context %s: %w", name, err)
	}
	data, err := json.MarshalIndent(natsContext{
		Description: "GX1 Replay, embedded bus of run " + name, URL: url, NKey: key,
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("writing the nats context %s: %w", name, err)
	}
	path = layout.Context(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("writing the nats context %s: %w", name, err)
	}
	if err := atomicfile.Write(path, atomicfile.Options{Sync: true}, atomicfile.Parts(data, []byte("\n"))); err != nil {
		return "", fmt.Errorf("writing the nats context %s: %w", name, err)
	}
	return path, nil
}
