package coordinator

import (
	"cmp"
	"fmt"
	"os"

	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/printable"
	"gx1replay/internal/run"
)

// Exported reports that a run is complete and where its perf JSON is, as its
// manifest records it. Its footers are cleaned from the bus, or will be.
type Exported struct {
	RunID  run.ID
	Host   string
	File   string
	SHA256 string // hex; empty: not known
}

func exportedBy(m run.Manifest) Exported {
	return Exported{RunID: m.RunID, Host: exportHost(m), File: m.ExportFile, SHA256: m.ExportSHA256}
}

// hostName is this host's, as manifests have it.
func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// exportHost is the host that has m's perf JSON. A version that did not record it
// exported on its coordinator's host.
func exportHost(m run.Manifest) string { return cmp.Or(m.ExportHost, m.Coordinator.Host) }

func (e *Exported) Error() string {
	return fmt.Sprintf("run %s is complete and was exported to %s; copy that file, since the bus does not keep the footers of a complete run", e.RunID, e.Where())
}

// Where names the file, its host and its digest.
func (e *Exported) Where() string {
	text := fmt.Sprintf("%s on host %s", printable.Line(cmp.Or(e.File, "an unknown file")), printable.Line(cmp.Or(e.Host, "unknown")))
	if e.SHA256 != "" {
		text += fmt.Sprintf(" (SHA-256 %s)", printable.Line(e.SHA256))
	}
	return text
}

// refuseExported is an *Exported if the run of m is exported and its complete
// perf JSON is not in the target's directory.
func refuseExported(t layout.Run, m run.Manifest) error {
	if m.State != run.StateExported {
		return nil
	}
	f, _, there, err := ledger.ReadFile(t.Perf(), t.RunID)
	if err == nil && there && f.Totals.Outcome == perf.OutcomeComplete && f.Report.Incarnation == m.Incarnation {
		return nil
	}
	e := exportedBy(m)
	return &e
}
