package cli

import (
	"errors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"time"
)

func (f *runFlags) config(id run.ID, pol policy.Policy, given *pflag.FlagSet) coordinator.Config {
	cfg := coordinator.Config{
		RunID: id, OutputDir: f.outputDir, FallbackDir: f.fallbackDir, Policy: pol, Engine: f.exec.engine,
		Chunks: f.chunks, ChunkBars: f.chunkBars, Order: run.Order(f.order), RetryFailed: f.retryFailed, Workers: f.workers,
		Listen: f.listen, StopAuth: f.stopAuth, SyncAlways: f.sync == syncAlways, KeepBus: f.keepBus,
		TimeBox: time.Duration(f.timeout), Drain: f.drain, Lease: f.lease, MaxFailures: f.maxFailures, NoSignals: f.noSignals, Quiet: f.quiet, Version: version(),
	}
	if given.Changed("decisions") {
		cfg.Decisions = &f.decisions
	}
	if f.connect.external() {
		cfg.NATS = &coordinator.External{Replicas: f.replicas}
	}
	return cfg
}

var flagOf = map[string]string{
	"Engine": "engine", "Decisions": "decisions", "Workers": "workers", "Chunks": "chunks", "ChunkBars": "chunk-bars", "Order": "order",
	"TimeBox": "timeout", "Drain": "drain-timeout", "Lease": "lease-duration", "MaxFailures": "max-failures", "NATS.Replicas": "replicas",
}

func (f *runFlags) check(cmd *cobra.Command, cfg coordinator.Config) error {
	bad := func(format string, args ...any) error {
		return usagef("coordinator run --help", format, args...)
	}
	if f.data == "" {
		return usagef("coordinator run --policy "+f.policy.path+" --data synthetic:70000", "--data is missing")
	}
	if err := f.read.check(); err != nil {
		return err
	}
	wrong := (*coordinator.ConfigError)(nil)
	if err := cfg.Validate(); errors.As(err, &wrong) {
		return bad("--%s %v (want %s)", flagOf[wrong.Field], wrong.Value, wrong.Want)
	} else if err != nil {
		return err
	}
	switch {
	case f.exec.exec() && f.workers > 0 && cmd.ArgsLenAtDash() < 0:
		return usagef("coordinator run … --engine exec -- python3 replay.py {task}   (or --workers 0, and workers elsewhere that have it)", "--engine exec without a command")
	case f.replicas != 0 && !f.connect.external():
		return bad("--replicas %d without --nats: the embedded bus is one server", f.replicas)
	case f.sync != syncDefault && f.sync != syncAlways:
		return bad("--sync %q (want %s or %s)", f.sync, syncDefault, syncAlways)
	case f.exitOnStop < 0 || f.exitOnStop > 125:
		return bad("--exit-on-stop %d (want 0 to 125)", f.exitOnStop)
	}
	return nil
}
