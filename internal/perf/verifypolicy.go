package perf

import (
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
)

// VerifyPolicy holds policy.values against what the rest of the file says of the
// policy. It is apart from Verify: no export fails for it.
func (f File) VerifyPolicy() (diffs Differences) {
	r := f.Report
	if len(r.PolicyValues) == 0 {
		return nil
	}
	exec := r.Env.Engine == footer.EngineExec
	p, err := policy.Parse("policy.values", r.PolicyValues, policy.Options{GateOnly: exec})
	if err != nil {
		diffs.Add("policy.values", "no policy: "+err.Error(), "the values of the run's policy")
		return diffs
	}
	if p.Pregate.Enabled != r.PregateEnabled {
		diffs.Add("policy.values.replay_config.replay_pregate.enabled", p.Pregate.Enabled, r.PregateEnabled)
	}
	if p.Name != r.Policy.Name {
		diffs.Add("policy.values.policy_name", p.Name, r.Policy.Name)
	}
	if !exec && string(p.Replay.Fill) != r.Fill {
		diffs.Add("policy.values.replay.fill", p.Replay.Fill, r.Fill)
	}
	return diffs
}
