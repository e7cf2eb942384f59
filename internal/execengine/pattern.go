package execengine

import "regexp"

// Pattern finds progress in log lines by a regular expression whose named
// groups are fields of the footer.
type Pattern struct{ re *regexp.Regexp }
