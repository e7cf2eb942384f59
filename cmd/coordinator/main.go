// Command coordinator: see its --help.
package main

import (
	"context"
	"io"
	"os"

	"gx1replay/internal/cli"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Main(stdin, stdout, stderr).Coordinator(ctx, args)
}
