package execengine

import (
	"slices"
	"strings"
)

// IsVariable reports whether name is a variable that commands, or the script
// that repeats one, get from us.
func IsVariable(name string) bool {
	return slices.Contains(protocolVars, name) || strings.HasPrefix(name, argVarPrefix)
}

const argVarPrefix = "GX1R_ARG_"
