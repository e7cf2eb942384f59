package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
	"strings"
)

// resumeCommand is the command that resumes a run, for a shell. It takes secrets of
// the environment from there again. For others it has redact.Removed, which the
// program refuses.
func (p Program) resumeCommand(cmd *cobra.Command, id run.ID, argv []string, more ...string) string {
	words := []string{"coordinator", "run"}
	variables := map[int]string{} // that gave a word
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case f.Name == "run-id", f.Name == "retry-failed", f.Name == "explain":
		case f.Name == "timeout": // it would stop it again
		case f.Value.Type() == "bool":
			words = append(words, "--"+f.Name+"="+f.Value.String())
		default:
			values := []string{f.Value.String()}
			if list, ok := f.Value.(pflag.SliceValue); ok {
				values = list.GetSlice()
			}
			for _, v := range values {
				words = append(words, "--"+f.Name, v)
				for _, name := range []string{envName(f.Name), natsEnv[f.Name]} {
					if name != "" && p.Getenv(name) == v {
						variables[len(words)-1] = name
					}
				}
			}
		}
	})
	words = append(append(words, "--run-id", string(id)), more...)
	if len(argv) > 0 {
		words = append(append(words, "--"), argv...)
	}
	shown := redact.Args(words)
	for i, word := range shown {
		if name := variables[i]; name != "" && word != words[i] {
			shown[i] = `"${` + name + `:?}"`
		} else {
			shown[i] = quoted(word)
		}
	}
	return strings.Join(shown, " ")
}

func quoted(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,=@%+", r)
	}
	if text != "" && strings.TrimFunc(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
