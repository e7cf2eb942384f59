package footer

// ref is one field of a footer: its name in files and on the bus, and where
// it stands.
type ref struct {
	name string
	ptr  any
}

// refs lists every field of f, in the order of the struct. A test holds it
// against the struct's tags.
func (f *Footer) refs() []ref {
	return []ref{
		{"run_id", &f.RunID},
		{"chunk_id", &f.ChunkID},
		{"status", &f.Status},
		{"error", &f.Error},
		{"error_traceback", &f.ErrorTraceback},
		{"n_model_calls", &f.NModelCalls},
		{"n_trades_closed", &f.NTradesClosed},
		{"wall_clock_sec", &f.WallClockSec},
		{"total_bars", &f.TotalBars},
		{"bars_per_sec", &f.BarsPerSec},
		{"feature_time_mean_ms", &f.FeatureTimeMeanMS},
		{"feature_timeout_count", &f.FeatureTimeoutCount},
		{"htf_align_warn_count", &f.HTFAlignWarnCount},
		{"pregate_skips", &f.PregateSkips},
		{"pregate_passes", &f.PregatePasses},
		{"pregate_missing_inputs", &f.PregateMissingInputs},
		{"t_pregate_total_sec", &f.TPregateTotalSec},
		{"t_feature_build_total_sec", &f.TFeatureBuildSec},
		{"t_model_total_sec", &f.TModelTotalSec},
		{"t_policy_total_sec", &f.TPolicyTotalSec},
		{"t_io_total_sec", &f.TIOTotalSec},
		{"bars_processed", &f.BarsProcessed},
		{"start_ts", &f.StartTS},
		{"end_ts", &f.EndTS},
		{"worker_time_sec", &f.WorkerTimeSec},
		{"pid", &f.PID},
		{"timestamp", &f.Timestamp},
		{"schema", &f.Schema},
		{"chunk_idx", &f.ChunkIdx},
		{"attempt", &f.Attempt},
		{"claim", &f.Claim},
		{"seq", &f.Seq},
		{"final", &f.Final},
		{"worker_id", &f.WorkerID},
		{"host", &f.Host},
		{"engine", &f.Engine},
		{"incarnation", &f.Incarnation},
		{"worker_build", &f.WorkerBuild},
		{"engine_version", &f.EngineVersion},
		{"chunks_total", &f.ChunksTotal},
		{"data_bars", &f.DataBars},
		{"planned_bars", &f.PlannedBars},
		{"first_bar", &f.FirstBar},
		{"end_bar", &f.EndBar},
		{"bars_skipped_warmup", &f.BarsSkippedWarmup},
		{"cpu_user_sec", &f.CPUUserSec},
		{"cpu_sys_sec", &f.CPUSysSec},
		{"max_rss_bytes", &f.MaxRSSBytes},
		{"t_startup_sec", &f.TStartupSec},
		{"t_warmup_sec", &f.TWarmupSec},
		{"phase", &f.Phase},
		{"slot", &f.Slot},
		{"pnl_bps", &f.PnlBps},
		{"trades_open", &f.TradesOpen},
		{"open_pnl_bps", &f.OpenPnlBps},
		{"skip_reasons", &f.SkipReasons},
		{"drop_reasons", &f.DropReasons},
		{"n_signals", &f.NSignals},
		{"nonfinite_fields", &f.NonfiniteFields},
		{"unreported", &f.Unreported},
		{"child", &f.Child},
		{"child_status", &f.ChildStatus},
		{"artifacts", &f.Artifacts},
		{"checkpoints", &f.Checkpoints},
	}
}
