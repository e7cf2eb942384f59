package bus

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/access"
)

// LackError says that the server, or the user's account there, does not have
// what every run needs. Waiting does not help: somebody has to change it.
type LackError struct {
	Lack string // with what to do
	Err  error
}

func (e *LackError) Error() string { return e.Lack + ": " + e.Err.Error() }
func (e *LackError) Unwrap() error { return e.Err }

// Error codes of the server for what an account may not have.
const (
	codeResources     jetstream.ErrorCode = 10002 // the account's limit of storage, seen by a publisher
	codeConsumers     jetstream.ErrorCode = 10026
	codeStreams       jetstream.ErrorCode = 10027
	codeNotForAccount jetstream.ErrorCode = 10039
	codeStorage       jetstream.ErrorCode = 10047
	codeNotEnabled    jetstream.ErrorCode = 10076
	codeMaxBytes      jetstream.ErrorCode = 10113
	codeStreamBytes   jetstream.ErrorCode = 10122
)

// Reserved is how many bytes of an account's storage the streams take before
// anything is in them, per replica.
const Reserved = maxStopStorage + maxNoteStorage

// lack makes a *LackError of what no run can begin with; other errors stay.
func lack(err error) error {
	what := ""
	switch apiCode(err) {
	case codeStorage, codeResources:
		what = fmt.Sprintf("the account or the server has too little storage: the streams reserve %d MiB (%s %d MiB, %s %d MiB), and data sets and footers come on top; raise the account's max_file or the server's max_file_store",
			Reserved>>20, StreamStop, maxStopStorage>>20, StreamNotes, maxNoteStorage>>20)
	case codeStreams:
		what = fmt.Sprintf("the account may have too few streams: a run needs %d streams; raise the account's max_streams", len(access.Streams()))
	case codeConsumers:
		what = fmt.Sprintf("the account may have too few consumers: streams are made for %d, and a run needs 3; raise the account's max_consumers or remove it", maxConsumers)
	case codeMaxBytes:
		what = "the account demands a size for each stream, which nobody knows before a run; remove the account's max_bytes_required"
	case codeStreamBytes:
		what = fmt.Sprintf("the account's streams may be too small: %s reserves %d MiB; raise the account's limit of bytes per stream", StreamStop, maxStopStorage>>20)
	case codeNotForAccount:
		what = "the user's account has no JetStream; give it `jetstream: enabled` in the server's configuration"
	case codeNotEnabled:
		what = noJetStream
	default:
		if errors.Is(err, nats.ErrSecureConnWanted) {
			what = "the URL asks for TLS, which the server does not offer; use nats:// or add tls {…} to the server's configuration"
		}
	}
	if what == "" {
		return err
	}
	return &LackError{what, err}
}

const noJetStream = "the server has no JetStream; add `jetstream {}` to its configuration"

// NobodyAnswers reports whether err says that no server takes JetStream
// requests: there is none, or none now.
func NobodyAnswers(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

// WithoutJetStream is the *LackError of a server of which NobodyAnswers for long.
func WithoutJetStream(err error) error { return &LackError{noJetStream, err} }
