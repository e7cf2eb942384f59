package compare

import (
	"encoding/json"
	"errors"
	"fmt"

	"gx1replay/internal/perf"
)

// ErrStub: the file is the stub of an export that failed.
var ErrStub = errors.New("this is the stub of an export that failed, not a perf JSON")

// Side is one of the two runs.
type Side struct {
	Path string    // as the user named it; only shown
	File perf.File // zero if Err is set
	Err  error     // why there is no File
}

// Read makes a side of a file's bytes. What is wrong with them is kept in Err:
// a comparison with a file that cannot be read is a comparison that says so.
func Read(path string, b []byte) Side {
	f, err := perf.ParseVerified(b)
	if err == nil {
		return Side{Path: path, File: f}
	}
	var stub struct {
		Status string `json:"status"`
		Error  string `json:"export_error"`
	}
	if json.Unmarshal(b, &stub) == nil && stub.Status == "export_failed" {
		err = fmt.Errorf("%w: %s", ErrStub, stub.Error)
	}
	return Side{Path: path, Err: err}
}
