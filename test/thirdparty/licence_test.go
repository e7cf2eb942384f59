package thirdparty

import (
	"slices"
	"strings"
	"testing"
)

// kinds are licences and phrases that stand in them and in no other of the list.
// What has none of them is "see text".
var kinds = []struct {
	name    string
	phrases []string
	without string // a phrase that another licence adds to the same ones
}{
	{"Apache-2.0", []string{"licensed under the apache license, version 2.0"}, ""},
	{"Apache-2.0", []string{"apache license version 2.0, january 2004"}, ""},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "the above copyright notice and this permission notice shall be included"}, ""},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "be used to endorse or promote products"}, ""},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms"}, "be used to endorse or promote products"},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"}, ""},
	{"MPL-2.0", []string{"mozilla public license", "version 2.0"}, ""},
	{"CC0-1.0", []string{"creative commons", "cc0 1.0 universal"}, ""},
	{"patent grant", []string{"additional ip rights grant (patents)"}, ""},
	// Not to be linked without a thought: the test names them.
	{"GPL", []string{"gnu general public license"}, ""},
	{"LGPL", []string{"gnu lesser general public license"}, ""},
	{"AGPL", []string{"gnu affero general public license"}, ""},
}

// forbidden are kinds that a program of ours may not link.
var forbidden = []string{"GPL", "LGPL", "AGPL"}

// kindsOf are the licences that a text holds, by their phrases.
func kindsOf(text string) []string {
	text = strings.ToLower(strings.Join(strings.Fields(strings.NewReplacer("*", " ", "//", " ", "#", " ").Replace(text)), " "))
	var list []string
	for _, k := range kinds {
		has := !slices.ContainsFunc(k.phrases, func(p string) bool { return !strings.Contains(text, p) })
		if has && !slices.Contains(list, k.name) && (k.without == "" || !strings.Contains(text, k.without)) {
			list = append(list, k.name)
		}
	}
	if len(list) == 0 {
		return []string{"see text"}
	}
	return list
}

func TestKindsOf(t *testing.T) {
	const mit = "Permission is hereby granted, free of charge, to any person\nobtaining a copy … The above copyright notice and this permission notice shall be\nincluded"
	const bsd = "Redistribution and use in source and binary forms, with or\n * without modification"
	for text, want := range map[string]string{
		mit: "MIT",
		bsd: "BSD-2-Clause",
		bsd + "… may not\n// be used to endorse or promote products": "BSD-3-Clause",
		mit + "\n\n" + bsd: "MIT, BSD-2-Clause",
		"Apache License\n   Version 2.0, January 2004\n\nLicensed under the Apache License, Version 2.0 (the": "Apache-2.0",
		"All rights reserved.":                 "see text",
		"This is under the MIT licence":        "see text",
		"GNU GENERAL PUBLIC LICENSE Version 3": "GPL",
	} {
		if got := strings.Join(kindsOf(text), ", "); got != want {
			t.Errorf("%q: %s (want %s)", text, got, want)
		}
	}
}
