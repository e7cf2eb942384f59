package access

import (
	"fmt"
	"io"
	"strings"
)

// User is one user of the bus.
type User struct {
	Role   Role
	Public string // nkey
}

// WriteUsers writes the users, their accounts and permissions as a part of a
// server's configuration. It holds public keys only.
func WriteUsers(w io.Writer, users []User) error {
	var b strings.Builder
	b.WriteString(`# GX1 Replay: who may do what on the bus. Made by "coordinator auth init";
# include it in a server's configuration. It holds public keys only.
#
# Each role has an account of its own, so that nobody can have the server
# publish into the main account. A new user goes into the account of its role.
accounts {
`)
	for _, a := range Accounts() {
		fmt.Fprintf(&b, "  %s {\n", a)
		if a == Main {
			b.WriteString("    jetstream: enabled\n")
		}
		writeUsersOf(&b, a, users)
		if a == Main {
			writeExports(&b, Exports(Accounts()...))
		} else {
			writeImports(&b, Imports(a))
		}
		b.WriteString("  }\n")
	}
	b.WriteString("  SYS {}\n}\nsystem_account: SYS\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeUsersOf(b *strings.Builder, a Account, users []User) {
	b.WriteString("    users: [\n")
	for _, u := range users {
		if AccountOf(u.Role) != a {
			continue
		}
		p := For(u.Role, u.Public)
		fmt.Fprintf(b, "      # %s: %s\n      {\n        nkey: %s\n        permissions: {\n", u.Role, u.Role.Purpose(), u.Public)
		writeList(b, "publish", p.Publish)
		writeList(b, "subscribe", p.Subscribe)
		b.WriteString("        }\n      }\n")
	}
	b.WriteString("    ]\n")
}

func writeExports(b *strings.Builder, list []Export) {
	b.WriteString("    exports: [\n")
	for _, e := range list {
		fmt.Fprintf(b, "      { %s: %q, ", e.Kind, e.Subject)
		if e.Many {
			b.WriteString("response_type: stream, ")
		}
		if e.Threshold > 0 {
			fmt.Fprintf(b, "response_threshold: %q, ", e.Threshold)
		}
		b.WriteString("accounts: [")
		for k, a := range e.Accounts {
			if k > 0 {
				b.WriteString(", ")
			}
			b.WriteString(string(a))
		}
		b.WriteString("] }\n")
	}
	b.WriteString("    ]\n")
}

func writeImports(b *strings.Builder, list []Import) {
	b.WriteString("    imports: [\n")
	for _, i := range list {
		fmt.Fprintf(b, "      { %s: { account: %s, subject: %q } }\n", i.Kind, Main, i.Subject)
	}
	b.WriteString("    ]\n")
}

func writeList(b *strings.Builder, what string, subjects []string) {
	fmt.Fprintf(b, "          %s: { allow: [\n", what)
	for _, s := range subjects {
		fmt.Fprintf(b, "            %q\n", s)
	}
	b.WriteString("          ] }\n")
}

// Server is one server of the bus.
type Server struct {
	Name     string
	Listen   string // HOST:PORT for clients
	StoreDir string
	Users    string // the file that WriteUsers has written, as it is included
	// Cluster is the name of the cluster; empty: the server is alone.
	Cluster       string
	ClusterListen string   // HOST:PORT for the other servers
	Routes        []string // of all servers, as HOST:PORT
	TLS           bool     // certificates stand beside the configuration
}

// WriteServer writes a server's configuration.
func WriteServer(w io.Writer, s Server) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# GX1 Replay: a JetStream server. Made by "coordinator auth init".
server_name: %q
listen: %q
# What is published fits into this: slices travel in parts of 128 KiB.
max_payload: 1MB

jetstream {
  store_dir: %q
  max_mem: 256M
  max_file: 200G
`, s.Name, s.Listen, s.StoreDir)
	if s.Cluster == "" {
		b.WriteString(`  # One server: a power cut loses what came within this time. "always" loses
  # nothing, at some milliseconds a chunk (docs/reliability.md).
  sync_interval: "10s"
`)
	} else {
		b.WriteString(`  # Three copies: what two servers have is not lost with one.
  sync_interval: "2m"
`)
	}
	b.WriteString("}\n")
	if s.TLS {
		b.WriteString(`
tls {
  cert_file: "server.pem"
  key_file: "server.key"
  ca_file: "ca.pem"
}
`)
	}
	if s.Cluster != "" {
		fmt.Fprintf(&b, "\ncluster {\n  name: %q\n  listen: %q\n  # A host that reaches this port is trusted: keep it on a network of the servers' own.\n  routes: [\n", s.Cluster, s.ClusterListen)
		for _, r := range s.Routes {
			fmt.Fprintf(&b, "    \"nats://%s\"\n", r)
		}
		b.WriteString(`  ]
  # A server that was cut off is back soon after its link is.
  ping_interval: "2s"
  ping_max: 3
`)
		if s.TLS {
			b.WriteString(`  tls {
    cert_file: "server.pem"
    key_file: "server.key"
    ca_file: "ca.pem"
    verify: true
  }
`)
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(&b, "\ninclude %q\n", s.Users)
	_, err := io.WriteString(w, b.String())
	return err
}
