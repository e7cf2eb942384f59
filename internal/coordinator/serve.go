package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
)

// serve connects to the bus, agrees with it on the session, brings up the
// workers, runs its Life on them, notifies the watchdog, waits for its verdict,
// and takes everything down. An error before the session began (began is
// false) means that nothing was run.
func (s *Session) serve(ctx, over context.Context, life *Life, exporter *export.Exporter, verdict <-chan export.Outcome) (began bool, err error) {
	log := s.cfg.Logger
	others := s.newPasser()
	transport, err := s.openBus(over, others)
	if unsuitable := (*bus.UnsuitableError)(nil); errors.As(err, &unsuitable) {
		return false, fmt.Errorf("%s: %w", s.cfg.NATS.Access, err)
	}
	if err != nil {
		// A coordinator that is refused, or whose key cannot be read, has run nothing. A bus
		// that is not there is a failure of the run, and its file records it.
		external := s.cfg.NATS != nil
		lacks := (*bus.LackError)(nil)
		return !external || bus.Unreachable(err) || bus.Transient(err) || errors.As(err, &lacks), err
	}
	life.Replicas = transport.replicas
	// A command that cannot begin ends the life as a stop does, with a drain of its
	// own: the watchdog has not been notified of it.
	lifeCtx, endLife := context.WithCancelCause(ctx)
	defer endLife(nil)
	drain, endDrain := context.WithCancel(over)
	defer endDrain()
	if s.cfg.Engine == footer.EngineExec && s.cfg.Workers > 0 {
		life.NoStart = func(err *StartError) {
			log.Error("the run's command cannot start", "error", err)
			endLife(err)
		}
	}
	clean := false
	defer func() {
		transport.close()
		others.wait()
		if clean {
			s.removeState()
		}
	}()
	b := transport.bus
	s.bus.Store(b)
	version := b.ServerVersion()
	s.server.Store(&version)
	if began, err := s.agree(ctx, life, b); err != nil {
		return began, err
	}
	pool, err := s.newPool(transport)
	if err != nil {
		return true, err
	}
	s.pool.Store(pool)
	leave := s.enter(transport, life.Manifest)
	defer leave()
	life.Foreign = others.passHint

	poolCtx, endPool := context.WithCancel(context.Background())
	var owned sync.WaitGroup
	defer owned.Wait()
	defer endPool()
	owned.Go(func() {
		if err := pool.Run(poolCtx); err != nil {
			s.dog.Ended(fmt.Errorf("local workers: %w", err))
		}
	})
	owned.Go(func() {
		select {
		case <-lifeCtx.Done():
		case <-drain.Done():
		}
		if noStart := (*StartError)(nil); errors.As(context.Cause(lifeCtx), &noStart) && pause(drain, s.cfg.Drain) {
			endDrain()
		}
	})
	owned.Go(func() { s.watchOutput(poolCtx) })
	m := life.Manifest
	owned.Go(func() { s.watchObstacles(poolCtx, transport, m) })
	if s.cfg.NATS != nil {
		owned.Go(func() { s.watchBus(poolCtx, b) })
	}
	// Once the run is being stopped its exports hold more than its backup.
	backupCtx, endBackup := context.WithCancel(ctx)
	defer endBackup()
	owned.Go(func() { s.backup.Run(backupCtx) })
	s.cfg.Observer.Ready(Info{
		RunID: s.cfg.RunID, Session: life.Manifest.Session, URL: transport.url, KeyFile: transport.keyFile,
		WorkerKey: transport.workerKey, OperatorKey: transport.operatorKey, Plan: life.Manifest.Plan, Warnings: transport.warnings,
	})
	endBeats := life.startBeats(poolCtx)
	defer endBeats()
	err = life.Run(lifeCtx, drain)
	endBackup()
	if noStart := (*StartError)(nil); err == nil && errors.As(context.Cause(lifeCtx), &noStart) {
		err = noStart
	}
	if errors.Is(err, ErrTakenOver) {
		endBeats() // the key is the other's
	}
	if err != nil {
		if over.Err() == nil {
			log.Error("the run ended by itself", "error", err)
		}
		s.lost.Store(!b.Connected())
	}
	s.dog.Ended(err)
	if err == nil {
		owned.Go(func() { life.listenDuringExport(poolCtx) })
	}
	out := <-verdict
	log.Info("exported", "code", out.Code, "path", out.Result.Path, "sha256", out.Result.SHA256)
	s.publishFiles(exporter)
	endBeats()
	if s.closeRun(life, out) && !s.cfg.KeepBus {
		clean = true
		s.cleanBus(b)
	}
	return true, nil
}

// agree settles with the bus which session this is, and readies the life for
// it. An error with began false means that nothing is to be run.
func (s *Session) agree(ctx context.Context, life *Life, b *bus.Bus) (began bool, err error) {
	life.Bus = b
	stored, rev, err := b.Manifest(ctx, s.cfg.RunID)
	var refused *bus.RefusedError
	switch {
	case errors.Is(err, bus.ErrNoRun):
		rev = 0
		if s.salvaged {
			if life.Manifest, err = s.next(nil, time.Time{}); err != nil {
				return false, err
			}
			err = bus.ErrNoRun
		}
	case errors.As(err, &refused):
		s.cfg.Logger.Warn("unusable manifest replaced", "error", err)
		rev = refused.Seq
	case err != nil:
		return true, err
	}
	m := life.Manifest
	if err == nil {
		if s.cfg.NATS != nil {
			if err := s.alone(ctx, b, stored); err != nil {
				return false, err
			}
		}
		heard, err := b.LastHeard(ctx, s.cfg.RunID)
		if err != nil {
			return true, err
		}
		if m, err = s.next(&stored, heard); err != nil {
			if cleaned := (*Cleaned)(nil); errors.As(err, &cleaned) {
				s.cleanBus(b)
			}
			return false, err
		}
	}
	if err := s.stampStop(ctx, b, &stored, &m); err != nil {
		return true, err
	}
	if err := s.passOwnStop(ctx, b, &m); err != nil {
		return true, err
	}
	if err := boundStop(ctx, b, &m); err != nil {
		return true, err
	}
	m.Wakes = b.MayWake(ctx, m.RunID)
	if m.Signature, err = b.Sign(m.SignedText()); err != nil {
		return true, err
	}
	life.Manifest, life.Revision, life.Known = m, rev, s.ledger.Chunks(m.Plan)
	life.Objects = s.objects(m, life.Bars)
	life.Loaded = func() { s.loaded(life) }
	life.Prepare()
	if rev == 0 && s.ledger.Known() {
		// The bus has no record of the attempts that only files hold.
		before := s.ledger.File().Report
		life.board.before = &before
	}
	s.board.Store(life.board)
	s.upload.Store(&life.upload)
	s.guardian.session(m.Session, s.started)
	return true, nil
}
