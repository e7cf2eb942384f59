package bus

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/access"
)

// LackError reports that the server, or the user's account there, does not have
// what every run needs. Waiting does not help: an administrator has to change it.
type LackError struct {
	Lack
	Err error
}

// Lack is what is missing, and what to do about it.
type Lack struct{ What, Do string }

func (e *LackError) Error() string { return e.What + " (" + e.Do + "): " + e.Err.Error() }
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

// What a server or an account may lack.
var (
	lackStorage = Lack{
		fmt.Sprintf("the account or the server has too little storage: the streams reserve %d MiB (%s %d MiB, %s %d MiB), and data sets and footers come on top",
			Reserved>>20, StreamStop, maxStopStorage>>20, StreamNotes, maxNoteStorage>>20),
		"raise the account's max_file, or max_file_store of the server",
	}
	lackStreams     = Lack{fmt.Sprintf("the account may have too few streams: GX1 Replay needs %d streams", len(access.Streams())), "raise the account's max_streams"}
	lackConsumers   = Lack{fmt.Sprintf("the account may have too few consumers: the streams are made for %d", maxConsumers), "raise the account's max_consumers, or remove it"}
	lackSizes       = Lack{"the account demands a size for each stream, which is unknown before a run", "remove the account's max_bytes_required"}
	lackStreamBytes = Lack{fmt.Sprintf("the account's streams may be too small: %s reserves %d MiB", StreamStop, maxStopStorage>>20), "raise the account's limit of bytes per stream"}
	lackAccount     = Lack{"the user's account has no JetStream", "give it `jetstream: enabled` in the server's configuration"}
	lackJetStream   = Lack{"the server has no JetStream", "add `jetstream {}` to its configuration"}
	lackTLS         = Lack{"the URL asks for TLS, which the server does not offer", "use nats://, or add tls {…} to the server's configuration"}
)

// lack makes a *LackError of what no run can begin with; other errors stay.
func lack(err error) error {
	var l Lack
	switch apiCode(err) {
	case codeStorage, codeResources:
		l = lackStorage
	case codeStreams:
		l = lackStreams
	case codeConsumers:
		l = lackConsumers
	case codeMaxBytes:
		l = lackSizes
	case codeStreamBytes:
		l = lackStreamBytes
	case codeNotForAccount:
		l = lackAccount
	case codeNotEnabled:
		l = lackJetStream
	default:
		if !errors.Is(err, nats.ErrSecureConnWanted) {
			return err
		}
		l = lackTLS
	}
	return &LackError{l, err}
}

// NobodyAnswers reports whether err means that no server takes JetStream
// requests: there is none, or none now.
func NobodyAnswers(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

// WithoutJetStream is the *LackError of a server of which NobodyAnswers for long.
func WithoutJetStream(err error) error { return &LackError{lackJetStream, err} }

// lacks lists what an account lacks for making streams that are missing.
func lacks(info *jetstream.AccountInfo, missing []jetstream.StreamConfig) []Lack {
	var list []Lack
	bytes, most := int64(0), int64(0)
	for _, s := range missing {
		reserved := max(s.MaxBytes, 0) * int64(max(s.Replicas, 1))
		bytes, most = bytes+reserved, max(most, s.MaxBytes)
	}
	limits := info.Limits
	add := func(lacks bool, l Lack) {
		if lacks {
			list = append(list, l)
		}
	}
	add(limits.MaxStore > 0 && bytes > limits.MaxStore-int64(max(info.Store, info.ReservedStore)), lackStorage)
	add(limits.MaxStreams > 0 && len(missing) > limits.MaxStreams-info.Streams, lackStreams)
	add(limits.MaxConsumers > 0 && len(missing) > 0 && limits.MaxConsumers < maxConsumers, lackConsumers)
	add(limits.MaxBytesRequired && len(missing) > 0, lackSizes)
	add(limits.StoreMaxStreamBytes > 0 && most > limits.StoreMaxStreamBytes, lackStreamBytes)
	return list
}
