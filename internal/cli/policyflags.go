package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"gx1replay/internal/policy"
)

// policyFlags are a policy file and how it is read.
type policyFlags struct {
	path, pregate                string
	strict, lenient, acceptNewer bool
}

func (f *policyFlags) bindPregate(fl *pflag.FlagSet) {
	fl.StringVar(&f.pregate, "pregate", "", "override the policy's pregate: true or false")
}

func (f *policyFlags) bindKeys(fl *pflag.FlagSet) {
	fl.BoolVar(&f.strict, "strict", false, "treat every unknown key of the policy as an error")
	fl.BoolVar(&f.lenient, "lenient", false, "treat every unknown key of the policy as a warning; useful with old files")
	fl.BoolVar(&f.acceptNewer, "accept-newer-model", false, "accept model files of newer library versions than the newest known one; unknown fields stay errors")
}

// load reads the policy, for a command (exec) or the built-in engine. Unless
// quiet, it prints what of the policy is not used.
func (f *policyFlags) load(p Program, exec, quiet bool) (policy.Policy, error) {
	if f.path == "" {
		return policy.Policy{}, usagef("coordinator run --policy examples/policies/gated.yaml --data synthetic:70000", "--policy is missing")
	}
	if f.strict && f.lenient {
		return policy.Policy{}, usagef("coordinator run --help", "--strict and --lenient exclude each other")
	}
	opt := policy.Options{Strict: f.strict, RefuseMistakes: !f.lenient && !exec, NeedModel: !exec, AcceptNewerModel: f.acceptNewer}
	if v := p.Getenv(policy.PregateEnv); v != "" {
		opt.PregateEnv = &v
	}
	if f.pregate != "" {
		on, err := strconv.ParseBool(f.pregate)
		if err != nil {
			return policy.Policy{}, usagef("", "--pregate %q (want true or false)", f.pregate)
		}
		opt.PregateFlag = &on
	}
	pol, err := policy.Load(f.path, opt)
	if err != nil || quiet {
		return pol, err
	}
	for _, text := range unused(pol) {
		fmt.Fprintf(p.Stderr, "warning: %s: %s\n", f.path, text)
	}
	return pol, nil
}

// unused is what of a policy has no effect, a phrase each.
func unused(pol policy.Policy) (list []string) {
	for _, name := range pol.MissingIncludes {
		list = append(list, "the included file "+name+" is not there")
	}
	if len(pol.UnknownKeys) > 0 {
		list = append(list, "unused keys: "+strings.Join(pol.UnknownKeys, ", "))
	}
	return list
}
