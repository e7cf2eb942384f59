package cli

import (
	"errors"
	"fmt"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"time"
)

// config is what the flags alone say of a run.
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

// flagOf is the flag that fills a field of coordinator.Config.
var flagOf = map[string]string{
	"Engine": "engine", "Decisions": "decisions", "Workers": "workers", "Chunks": "chunks", "ChunkBars": "chunk-bars", "Order": "order",
	"TimeBox": "timeout", "Drain": "drain-timeout", "Lease": "lease-duration", "MaxFailures": "max-failures", "NATS.Replicas": "replicas",
}

// check finds what is wrong with the flags before anything is started.
func (f *runFlags) check(cmd *cobra.Command, cfg coordinator.Config) error {
	bad := func(format string, args ...any) error {
		return &usageError{msg: fmt.Sprintf(format, args...), hint: "coordinator run --help"}
	}
	if f.data == "" {
		return &usageError{"--data is missing", "coordinator run --policy " + f.policy + " --data synthetic:70000"}
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
		return &usageError{"--engine exec without a command", "coordinator run … --engine exec -- python3 replay.py {task}   (or --workers 0, and workers elsewhere that have it)"}
	case f.replicas != 0 && !f.connect.external():
		return bad("--replicas %d without --nats: the embedded bus is one server", f.replicas)
	case f.sync != syncDefault && f.sync != syncAlways:
		return bad("--sync %q (want %s or %s)", f.sync, syncDefault, syncAlways)
	case f.exitOnStop < 0 || f.exitOnStop > 125:
		return bad("--exit-on-stop %d (want 0 to 125)", f.exitOnStop)
	}
	return nil
}
