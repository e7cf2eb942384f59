package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/natscontext"

	"gx1replay/internal/access"
	"gx1replay/internal/loglimit"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
)

// Headers of messages.
const (
	headerSchema      = "Gx1-Schema"
	headerWorker      = "Gx1-Worker"
	headerStopSource  = "Gx1-Stop-Source"
	headerStopSession = "Gx1-Stop-Session"
	headerIncarnation = "Gx1-Incarnation"
)

// Timings of a connection.
const (
	// reconnectWait: a worker is to be back within a second of its server.
	reconnectWait = 250 * time.Millisecond
	// pingInterval × two missed pings bounds how long a dead link goes
	// unnoticed.
	pingInterval = 2 * time.Second
	// refusedWait follows a refusal by the server, instead of reconnectWait: it
	// stands until a user renews the credentials, and each try is logged.
	refusedWait = 2 * time.Second
	// requestTimeout bounds one request to the server. It is well under a
	// lease, so that a request that is never answered costs no lease.
	requestTimeout = 2 * time.Second
)

// Config holds how to connect.
type Config struct {
	// Access is how the server is reached; ignored with InProcess.
	Access
	// InProcess connects to a server in this process.
	InProcess nats.InProcessConnProvider
	// Options carry credentials that are in no file.
	Options []nats.Option
	// Name appears in the server's list of connections.
	Name string
	// Worker is the worker_id that goes into the header of what a worker
	// writes; empty for others.
	Worker string
	Logger *slog.Logger
}

// Bus is a connection to the bus. Its methods may be called from any
// goroutine; each ends with its context or after a few seconds.
type Bus struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	worker string
	log    *slog.Logger
	lines  *loglimit.Limiter // of what others can cause
	closed chan struct{}
	// refused is when the server last refused this user, in nanoseconds of the
	// clock; 0: never.
	refused atomic.Int64

	mu       sync.Mutex
	streams  map[string]jetstream.Stream
	spans    map[run.ID]span
	runs     jetstream.KeyValue
	data     jetstream.ObjectStore
	rights   *Rights // nil: not known yet
	hints    map[int]chan struct{}
	nextHint int
}

// Connect connects and returns once the server has answered. It does not
// wait for a server that is not there; later losses are mended for as long
// as the Bus is open.
func Connect(ctx context.Context, cfg Config) (*Bus, error) {
	b := &Bus{
		worker: cfg.Worker, log: cfg.Logger, closed: make(chan struct{}),
		streams: map[string]jetstream.Stream{}, spans: map[run.ID]span{}, hints: map[int]chan struct{}{},
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	b.lines = loglimit.New(b.log)
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		nats.Name(cfg.Name),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(b.reconnectDelay),
		// A user who is refused may be let in again: credentials are renewed, and
		// read for each try. The client would close the connection for good.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // nothing is buffered while disconnected
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(requestTimeout),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("disconnected from NATS", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.log.Info("reconnected to NATS", "url", redact.URLs(nc.ConnectedUrl()))
			b.wake()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if locksOut(err) {
				b.refused.Store(time.Now().UnixNano())
			}
			b.lines.Warn("NATS reported an error", "error", err)
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	)
	if cfg.InProcess != nil {
		opts = append(opts, nats.InProcessServer(cfg.InProcess))
	}
	nc, err := cfg.dial(append(append(opts, cfg.Options...), ownInbox))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", cfg.Access, lack(cfg.explained(err)))
	}
	b.nc = nc
	if b.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		nc.Close()
		return nil, fmt.Errorf("using JetStream at %s: %w", cfg.Access, err)
	}
	if err := ctx.Err(); err != nil {
		nc.Close()
		return nil, err
	}
	return b, nil
}

// reconnectDelay is how long the client waits when it has tried all servers.
func (b *Bus) reconnectDelay(int) time.Duration {
	if time.Since(time.Unix(0, b.refused.Load())) < 2*refusedWait {
		return refusedWait
	}
	return reconnectWait + rand.N(reconnectWait/2)
}

// locksOut reports whether err is a server's that does not let this user in.
func locksOut(err error) bool {
	for _, e := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Transient reports whether err means that the bus could not be used at the
// moment: no connection, no answer, a cluster that is choosing a leader, or a
// copy that lags.
func Transient(err error) bool {
	if lacks := (*LackError)(nil); errors.As(err, &lacks) {
		return false
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		// A server of a cluster that is away is expected back.
		offline := api.ErrorCode == codeNoPeers && strings.Contains(api.Description, textOffline)
		return offline || api.Code == 503 && api.ErrorCode != codeStoreFailed
	}
	for _, gone := range []error{
		nats.ErrDisconnected, nats.ErrReconnectBufExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrStaleConnection,
		context.DeadlineExceeded, jetstream.ErrNoStreamResponse, jetstream.ErrNoHeartbeat, ErrLags,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// Unreachable reports whether err, from Connect, is that no server answered:
// there may be one later. A server that refuses is no such error, nor is a file
// that cannot be read, which the system's own errors would pass for one.
func Unreachable(err error) bool {
	var file *fs.PathError
	if errors.As(err, &file) {
		return false
	}
	var network net.Error
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &network)
}

// ownInbox has answers go to subjects that are ours alone: strangers may listen
// on _INBOX.>, and users whom package access gives permissions below a prefix
// of their own (which may also be a context's inbox_prefix).
func ownInbox(o *nats.Options) error {
	prefix := o.InboxPrefix
	if prefix == "" {
		public, err := publicKey(o)
		if err != nil {
			return err
		}
		if prefix = defaultInbox; public != "" {
			prefix = access.Inbox(public)
		}
	}
	return nats.CustomInboxPrefix(prefix + "." + nats.NewInbox()[len(nats.InboxPrefix):])(o)
}

// publicKey is the user's public nkey; empty where the user has none.
func publicKey(o *nats.Options) (string, error) {
	if o.UserJWT != nil {
		return jwtUser(o.UserJWT)
	}
	return o.Nkey, nil
}

// noKey stands for the public key of a user without one.
const noKey = "-"

func (b *Bus) publicKey() (string, error) {
	public, err := publicKey(&b.nc.Opts)
	if public == "" {
		public = noKey
	}
	return public, err
}

// Sign signs text with this user's nkey. A user without one signs nothing: the
// zero Signature.
func (b *Bus) Sign(text []byte) (run.Signature, error) {
	public, err := publicKey(&b.nc.Opts)
	if err != nil || public == "" || b.nc.Opts.SignatureCB == nil {
		return run.Signature{}, err
	}
	signed, err := b.nc.Opts.SignatureCB(text)
	if err != nil {
		return run.Signature{}, fmt.Errorf("signing with the user's key %.8s…: %w", public, err)
	}
	return run.Signature{Key: public, Bytes: signed}, nil
}

// defaultInbox is the prefix of answers of users without a key of their own.
const defaultInbox = "_INBOX_GX1"

// dial connects, by the context if there is one.
func (a Access) dial(opts []nats.Option) (*nats.Conn, error) {
	if err := a.checkURLs(); err != nil {
		return nil, err
	}
	if a.Context == "" {
		return nats.Connect(a.URL, opts...)
	}
	if a.URL != "" {
		opts = append(opts, func(o *nats.Options) error {
			o.Servers = nil
			for text := range strings.SplitSeq(a.URL, ",") {
				o.Servers = append(o.Servers, strings.TrimSpace(text))
			}
			return nil
		})
	}
	nc, settings, err := natscontext.Connect(a.Context, opts...)
	if err != nil {
		return nil, fmt.Errorf("context %s: %w", a.Context, err)
	}
	if settings.JSDomain != "" || settings.JSAPIPrefix != "" {
		nc.Close()
		return nil, fmt.Errorf("context %s: jetstream_domain %q, jetstream_api_prefix %q (want none: tasks are acked by the server's own subjects)",
			a.Context, settings.JSDomain, settings.JSAPIPrefix)
	}
	return nc, nil
}

// Close drains what is on its way, for at most a second, and waits until the
// connection is closed.
func (b *Bus) Close() {
	defer b.lines.Close()
	if b.nc.Status() != nats.CONNECTED || b.nc.Drain() != nil {
		b.nc.Close()
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-b.closed:
		return
	case <-t.C:
	}
	b.nc.Close()
	<-b.closed
}

// Answers reports whether the server answers before ctx ends, which has to have
// a deadline.
func (b *Bus) Answers(ctx context.Context) bool { return b.nc.FlushWithContext(ctx) == nil }

// Connected reports whether the connection stands now.
func (b *Bus) Connected() bool { return b.nc.IsConnected() }

// Breaks rises with every loss of the connection. Two equal readings with an
// answered request between them mean: connected without a break.
//
// The client's own count is read, not one that a handler keeps: handlers run
// one after the other, and one that hangs in a log would hide a break.
func (b *Bus) Breaks() uint64 {
	for {
		n := b.nc.Stats().Reconnects
		up := b.nc.IsConnected()
		if b.nc.Stats().Reconnects != n {
			continue // taken up again meanwhile: up may be older or newer than n
		}
		if !up {
			n++
		}
		return n
	}
}

// ServerVersion is the version of the connected server.
func (b *Bus) ServerVersion() string { return b.nc.ConnectedServerVersion() }

// Hints returns a channel on which a token lies whenever something may have
// happened while disconnected: after each reconnect. cancel gives it back.
func (b *Bus) Hints() (hints <-chan struct{}, cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan struct{}, 1)
	k := b.nextHint
	b.nextHint++
	b.hints[k] = c
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.hints, k)
	}
}

func (b *Bus) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.hints {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// stream returns a handle, asking the server once.
func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	b.mu.Lock()
	s := b.streams[name]
	b.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[name] = s
	return s, nil
}

// message makes a message with the headers that every one of ours carries.
func (b *Bus) message(subject string, data []byte) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = data
	m.Header.Set(headerSchema, strconv.Itoa(run.Schema))
	if b.worker != "" {
		m.Header.Set(headerWorker, b.worker)
	}
	return m
}

// checkSchema refuses a message whose schema is not ours.
func checkSchema(h nats.Header) error {
	if got := h.Get(headerSchema); got != strconv.Itoa(run.Schema) {
		return fmt.Errorf("header %s is %.20q (want %d)", headerSchema, got, run.Schema)
	}
	return nil
}

// bounded gives a request its deadline.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTimeout)
}

// apiCode is the JetStream error code in err, 0 if there is none.
func apiCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// plain replaces the client's text for a buffer that is full:
// nothing is buffered while there is no connection.
func plain(err error) error {
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		return nats.ErrDisconnected
	}
	return err
}

// discarded reports whether a message was not stored because its subject has
// one already. The server gives every failure to store the same code, a full
// disk too; only the text distinguishes them.
func discarded(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStoreFailed && strings.Contains(api.Description, textDiscarded)
}

// Error codes of the server that mean something to us, with what they mean.
const (
	codeWrongLastSequence jetstream.ErrorCode = 10071 // a compare-and-set lost
	codeInFlightConflict  jetstream.ErrorCode = 10164 // the same, against one not yet committed
	codeDuplicateInFlight jetstream.ErrorCode = 10158 // the same message id is being stored: ask again
	codeStoreFailed       jetstream.ErrorCode = 10077 // the text contains the reason
	codeFilterTaken       jetstream.ErrorCode = 10100 // another consumer of the work queue has these subjects
	textDiscarded                             = "maximum messages per subject exceeded"
	codeNoPeers           jetstream.ErrorCode = 10005 // for a stream's replicas: there are none, or they are away
	textOffline                               = "peer offline"
)

// tooFewServers reports whether a bus has not the servers for as many replicas:
// no peers, no resources, not in a cluster.
func tooFewServers(err error) bool {
	switch apiCode(err) {
	case codeNoPeers, 10023, 10074:
		return true
	}
	return false
}
