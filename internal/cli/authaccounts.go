package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gx1replay/internal/access"
)

func (p Program) authAccountsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "Print the accounts of the roles as nsc commands, for users with JWTs",
		Long: `accounts prints a shell script of nsc commands for buses whose users have JWTs: the
account of each role, the exports of the coordinator's account, and the imports of
the others. Run it once on the host that has your nsc operator, then push the
accounts to the servers. Put the signing key of each role, with the permissions of
"coordinator auth permissions", into the account of that role.`,
		Example: `  coordinator auth accounts > accounts.sh
  sh accounts.sh`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := writeAccounts(p.Stdout); err != nil {
				return fmt.Errorf("printing the accounts: %w", err)
			}
			return nil
		},
	}
	p.bindEnv(cmd, nil)
	return cmd
}

// writeAccounts writes the script. Exports are private, so that no other account
// of the operator imports them, except for one: nsc finds the export of an
// activation by its subject alone, and stops are exported as a service, too.
func writeAccounts(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# GX1 Replay: an account for each role. Made by "coordinator auth accounts".
set -e
key() { nsc describe account --name "$1" --field sub | tr -d '"'; }
token=$(mktemp)

`)
	for _, a := range access.Accounts() {
		fmt.Fprintf(&b, "nsc add account --name %s\n", a)
	}
	fmt.Fprintf(&b, "nsc edit account --name %s --js-enable 0\n", access.Main)
	for _, e := range access.Exports(access.Accounts()...) {
		fmt.Fprintf(&b, "\nnsc add export --account %s --name '%s' --subject '%s'", access.Main, importName(e.Kind, e.Subject), e.Subject)
		if e.Kind == access.Service {
			b.WriteString(" --service")
			if e.Many {
				b.WriteString(" --response-type Stream")
			}
			if e.Threshold > 0 {
				fmt.Fprintf(&b, " --response-threshold %s", e.Threshold)
			}
		}
		public := e.Kind == access.Stream && isService(e.Subject)
		if !public {
			b.WriteString(" --private")
		}
		b.WriteString("\n")
		for _, a := range e.Accounts {
			name := importName(e.Kind, e.Subject)
			if public {
				fmt.Fprintf(&b, "nsc add import --account %s --name '%s' --src-account \"$(key %s)\" --remote-subject '%s'\n", a, name, access.Main, e.Subject)
				continue
			}
			fmt.Fprintf(&b, "nsc generate activation --account %s --subject '%s' --target-account \"$(key %s)\" --output-file \"$token\"\n", access.Main, e.Subject, a)
			fmt.Fprintf(&b, "nsc add import --account %s --name '%s' --token \"$token\"\n", a, name)
		}
	}
	b.WriteString("rm \"$token\"\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// importName tells apart a service and a stream of one subject.
func importName(k access.Kind, subject string) string { return string(k) + " " + subject }

func isService(subject string) bool {
	for _, e := range access.Exports(access.Accounts()...) {
		if e.Kind == access.Service && e.Subject == subject {
			return true
		}
	}
	return false
}
