package export

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// KeepPolicy writes the content of a run's policy into its state directory,
// for the selection of trades when its coordinator, or its bus, is gone.
func KeepPolicy(t layout.Run, p run.Policy, content []byte) error {
	if err := checkPolicy(p, content); err != nil {
		return fmt.Errorf("keeping the policy of run %s: %w", t.RunID, err)
	}
	path := t.PolicyFile(p.Content)
	if _, err := os.Stat(path); err == nil {
		return nil // its name is its digest, and its reader checks it
	}
	if err := safefile.Replace(path, false, atomicfile.Parts(content)); err != nil {
		return fmt.Errorf("keeping the policy of run %s: %w", t.RunID, err)
	}
	return nil
}

func checkPolicy(p run.Policy, content []byte) error {
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != p.Content {
		return fmt.Errorf("the policy's content has SHA-256 %x (want %.70q)", sum, p.Content)
	}
	return nil
}

// policyValues is what stands as policy.values in the file of report, which is
// without, or nil where the policy is not at hand. content is as readPolicy's.
func policyValues(t layout.Run, report perf.Report, content []byte) (values []byte, fill string, err error) {
	gateOnly := report.Env.Engine == footer.EngineExec
	p, err := readPolicy(t, report.Policy, content, policy.Options{PregateFlag: &report.PregateEnabled, GateOnly: gateOnly})
	if err != nil {
		return nil, "", err
	}
	if !gateOnly {
		fill = string(p.Replay.Fill)
	}
	values, err = p.Values(gateOnly)
	return values, fill, err
}

// readPolicy reads the policy p of a run from content, or from where KeepPolicy
// wrote it if that is nil.
func readPolicy(t layout.Run, p run.Policy, content []byte, opt policy.Options) (policy.Policy, error) {
	if p.Content == "" {
		return policy.Policy{}, errors.New("the run's policy is not available")
	}
	if _, err := hex.DecodeString(p.Content); err != nil {
		return policy.Policy{}, fmt.Errorf("policy.content is %.70q (want a digest)", p.Content)
	}
	if content == nil {
		var err error
		if content, err = safefile.Read(t.PolicyFile(p.Content), policy.MaxBytes); err != nil {
			return policy.Policy{}, err
		}
	}
	if err := checkPolicy(p, content); err != nil {
		return policy.Policy{}, err
	}
	return policy.Parse(p.Name, content, opt)
}

// RemovePolicies removes what KeepPolicy wrote.
func RemovePolicies(t layout.Run) error {
	paths, err := filepath.Glob(t.PolicyFile("*"))
	for _, path := range paths {
		err = errors.Join(err, removeIfThere(path))
	}
	return err
}

// KeptPolicies lists the digests of the policies that KeepPolicy has written.
func KeptPolicies(t layout.Run) ([]string, error) {
	paths, err := filepath.Glob(t.PolicyFile("*"))
	if err != nil {
		return nil, fmt.Errorf("looking for the policies of run %s: %w", t.RunID, err)
	}
	for i, path := range paths {
		paths[i] = layout.PolicyDigest(path)
	}
	return paths, nil
}
