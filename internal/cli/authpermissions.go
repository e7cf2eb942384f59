package cli

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nats-io/jwt/v2"
	"github.com/spf13/cobra"

	"gx1replay/internal/access"
)

func (p Program) authPermissionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "permissions ROLE",
		Short: "Print the permissions of a role, for users with JWTs",
		Long: `permissions prints the subjects that users of a role may publish and subscribe
to, as JSON, for buses whose users have JWTs. Put them into the scoped signing key
of the role. The server replaces ` + access.SubjectTemplate + ` with each user's public key.
Roles: coordinator, worker, operator, observer.`,
		Example: `  coordinator auth permissions worker > worker.json`,
		Args:    oneArg("ROLE", "coordinator auth permissions worker"),
		RunE:    func(_ *cobra.Command, args []string) error { return p.authPermissions(access.Role(args[0])) },
	}
	p.bindEnv(cmd, nil)
	return cmd
}

func (p Program) authPermissions(role access.Role) error {
	if !slices.Contains(access.Roles(), role) {
		return usagef("coordinator auth permissions --help", "there is no role %q (want one of %v)", role, access.Roles())
	}
	may := access.For(role, access.SubjectTemplate)
	e := json.NewEncoder(p.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // subjects end with >
	if err := e.Encode(jwt.Permissions{Pub: jwt.Permission{Allow: may.Publish}, Sub: jwt.Permission{Allow: may.Subscribe}}); err != nil {
		return fmt.Errorf("printing the permissions of role %s: %w", role, err)
	}
	return nil
}
