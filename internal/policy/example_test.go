package policy_test

import (
	"fmt"

	"gx1replay/internal/policy"
)

// An error names the place, the field, the value and what is expected. All of
// them are reported at once.
func ExampleParse() {
	_, err := policy.Parse("p.yaml", []byte("replay_config:\n  replay_pregate:\n    enabled: maybe\n    max_spread_bps: -3\n"), policy.Options{})
	fmt.Println(err)
	// Output:
	// p.yaml:3:14: replay_config.replay_pregate.enabled: "maybe" is not a boolean (want true or false)
	// p.yaml:4:21: replay_config.replay_pregate.max_spread_bps: -3 is not a spread in bps (want > 0)
}
